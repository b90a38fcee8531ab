# old-kernel.py NUMBER PROGRAM ARGUMENT...: runs a program with the system calls of an older kernel: those numbered above NUMBER fail with
# ENOSYS, by a seccomp filter. x86_64 gives new calls ever higher numbers: 313 is the last of Linux 3.10, 325 that of 4.4, 334 that of 4.19.
import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_NUMBER, JUMP_IF_GREATER, RETURN = 0x20, 0x25, 0x06
FAIL_ENOSYS, ALLOW = 0x00050000 | 38, 0x7FFF0000


def instruction(code, if_true, if_false, value):
    return struct.pack('<HBBI', code, if_true, if_false, value)


class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]


newest, program = int(sys.argv[1]), sys.argv[2:]
code = (
    instruction(LOAD_NUMBER, 0, 0, 0)
    + instruction(JUMP_IF_GREATER, 0, 1, newest)
    + instruction(RETURN, 0, 0, FAIL_ENOSYS)
    + instruction(RETURN, 0, 0, ALLOW)
)
buffer = ctypes.create_string_buffer(code, len(code))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit('prctl: no_new_privs')
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(4, ctypes.addressof(buffer)))) != 0:
    sys.exit('prctl: seccomp')
os.execv(program[0], program)
