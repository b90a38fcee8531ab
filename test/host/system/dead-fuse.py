"""A file system whose server falls silent: mounts a FUSE at argv[1], lets a child hold argv[1]/file open, and answers nothing after that.

The protocol is that of Linux include/uapi/linux/fuse.h, spoken on /dev/fuse: no FUSE library is needed. Prints the child's pid once it
has the file; ends at SIGTERM, and takes mount and child with it.
"""
import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import time

LOOKUP, FORGET, GETATTR, OPEN, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 26, 36, 42
WITHOUT_REPLY = (FORGET, INTERRUPT, BATCH_FORGET)
ROOT, FILE = 1, 2
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2

libc = ctypes.CDLL(None, use_errno=True)
place = os.fsencode(sys.argv[1])


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o644, 4096)
    return struct.pack("<6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node):
    """What a request gets; nothing may be kept by the kernel, so that every stat asks again."""
    if opcode == INIT:
        return struct.pack("<4I2H2I2H8I", 7, 31, 4096, 0, 8, 8, 4096, 1, 1, 0, *[0] * 8)
    if opcode == LOOKUP:
        return struct.pack("<4Q2I", FILE, 0, 0, 0, 0, 0) + attributes(FILE)
    if opcode == GETATTR:
        return struct.pack("<Q2I", 0, 0, 0) + attributes(node)
    if opcode == OPEN:
        return struct.pack("<Q2I", 1, 0, 0)
    return None


def serve(fuse, until):
    while True:
        request = os.read(fuse, 65536 + 4096)
        _, opcode, unique, node = struct.unpack_from("<2I2Q", request)
        if opcode in WITHOUT_REPLY:
            continue
        body = answer(opcode, node)
        error = 0 if body is not None else -errno.ENOSYS
        os.write(fuse, struct.pack("<IiQ", 16 + len(body or b""), error, unique) + (body or b""))
        if opcode == until:
            return


def main():
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse
    if libc.mount(b"dead", place, b"fuse", MS_NOSUID | MS_NODEV, options) != 0:
        raise OSError(ctypes.get_errno(), "mount of a FUSE")
    holder = os.fork()
    if holder == 0:
        os.close(fuse)
        os.set_inheritable(os.open(place + b"/file", os.O_RDONLY), True)
        os.execvp("sleep", ["sleep", "600"])

    def end(_signal, _frame):
        os.kill(holder, signal.SIGKILL)
        libc.umount2(place, MNT_DETACH)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    serve(fuse, OPEN)
    print(holder, flush=True)
    while True:
        time.sleep(600)


main()
