import { systemCall, systemCallLater } from './system-call.ts';

/** Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). */
const IOCTL = { name: 'ioctl', number: 16 };
const FCNTL = { name: 'fcntl', number: 72 };
const MKNOD = { name: 'mknod', number: 133 };
const ADD_KEY = { name: 'add_key', number: 248 };
const KEYCTL = { name: 'keyctl', number: 250 };

/** `fcntl` with a structure that the kernel may change. Throws the errno as a NodeJS error. */
export function fcntl(fd: number, command: number, argument: Uint8Array): number {
  return systemCall(FCNTL, fd, command, argument);
}

/**
 * `ioctl` with a number or a structure as its argument. Returns the call's result; throws the errno as a NodeJS error.
 */
export function ioctl(fd: number, request: number, argument: number | bigint | Uint8Array = 0): number {
  return systemCall(IOCTL, fd, request, argument);
}

/** The same on a thread of the pool, for a request that blocks (NBD_DO_IT). */
export function ioctlBlocking(fd: number, request: number, argument: number | bigint = 0): Promise<number> {
  return systemCallLater(IOCTL, fd, request, argument);
}

/** add_key(2): the key's serial number. Throws the errno as a NodeJS error. */
export function addKey(type: string, description: string, payload: Uint8Array, keyring: number): number {
  return systemCall(ADD_KEY, text(type), text(description), payload, payload.length, keyring);
}

/** keyctl(2) with numbers as arguments. Throws the errno as a NodeJS error. */
export function keyctl(operation: number, key: number, ...args: readonly number[]): number {
  return systemCall(KEYCTL, operation, key, ...args);
}

const S_IFBLK = 0o060000;

/** mknod(2) of a block device, whose numbers the kernel packs into 32 bits. Throws the errno as a NodeJS error. */
export function mknodBlock(path: string, major: number, minor: number, mode: number): void {
  const device = (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x100000;
  systemCall({ ...MKNOD, path }, text(path), S_IFBLK | mode, device);
}

/** As C has it. */
function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, 'utf8');
}
