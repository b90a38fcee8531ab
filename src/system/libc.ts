import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type koffiModule from 'koffi';
import { OTHER_ERRNOS } from './errno-name.ts';

type Koffi = typeof koffiModule;
type Call = ReturnType<ReturnType<Koffi['load']>['func']>;

/**
 * libc by way of koffi, which takes 10 ms to load: nothing of it happens before the first call. Variadic functions are
 * declared with the arguments we give; on x86-64 an integer argument travels in the same register either way.
 */
const PROTOTYPES = {
  fcntl: 'int fcntl(int fd, int command, void *argument)',
  ioctlNumber: 'int ioctl(int fd, unsigned long request, unsigned long argument)',
  ioctlBuffer: 'int ioctl(int fd, unsigned long request, void *argument)',
  mknod: 'long syscall(long number, const char *path, unsigned int mode, unsigned long device)',
  addKey:
    'long syscall(long number, const char *type, const char *description, void *payload, size_t length, int keyring)',
  keyctl: 'long syscall(long number, int operation, int key, long a, long b, long c)',
} as const;

/** `fcntl` with a structure that the kernel may change. Throws the errno as a NodeJS error. */
export function fcntl(fd: number, command: number, argument: Uint8Array): number {
  return checked('fcntl', native('fcntl')(fd, command, argument));
}

/**
 * `ioctl` with a number or a structure as its argument. Returns the call's result; throws the errno as a NodeJS error.
 */
export function ioctl(fd: number, request: number, argument: number | bigint | Uint8Array = 0): number {
  const call = typeof argument === 'object' ? native('ioctlBuffer') : native('ioctlNumber');
  return checked('ioctl', call(fd, request, argument));
}

/** The same on a thread of the pool, for a request that blocks (NBD_DO_IT). */
export function ioctlBlocking(fd: number, request: number, argument: number | bigint = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    native('ioctlNumber').async(fd, request, argument, (error: unknown, result: number) => {
      if (error !== null && error !== undefined) reject(error);
      else if (result < 0) reject(errnoError('ioctl', koffi().errno()));
      else resolve(result);
    });
  });
}

const ADD_KEY = 248;
const KEYCTL = 250;

/** add_key(2) on x86-64: the key's serial number. Throws the errno as a NodeJS error. */
export function addKey(type: string, description: string, payload: Uint8Array, keyring: number): number {
  return checked('add_key', Number(native('addKey')(ADD_KEY, type, description, payload, payload.length, keyring)));
}

/** keyctl(2) on x86-64 with numbers as arguments. Throws the errno as a NodeJS error. */
export function keyctl(operation: number, key: number, ...args: readonly number[]): number {
  const [a = 0, b = 0, c = 0] = args;
  return checked('keyctl', Number(native('keyctl')(KEYCTL, operation, key, a, b, c)));
}

const MKNOD = 133;
const S_IFBLK = 0o060000;

/**
 * mknod(2) on x86-64 of a block device, whose numbers the kernel packs into 32 bits. Throws the errno as a NodeJS
 * error.
 */
export function mknodBlock(path: string, major: number, minor: number, mode: number): void {
  const device = (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x100000;
  checked('mknod', Number(native('mknod')(MKNOD, path, S_IFBLK | mode, device)), path);
}

/**
 * Where the bytes lie in memory. They never move: Node keeps every buffer above 64 bytes outside the collected heap.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi().address(bytes);
}

let loaded: Koffi | undefined;
const functions = new Map<keyof typeof PROTOTYPES, Call>();

function koffi(): Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as Koffi;
  return loaded;
}

function native(name: keyof typeof PROTOTYPES): Call {
  const known = functions.get(name);
  if (known !== undefined) return known;
  const call = koffi().load('libc.so.6').func(PROTOTYPES[name]);
  functions.set(name, call);
  return call;
}

function checked(call: string, result: number, path?: string): number {
  if (result >= 0) return result;
  throw errnoError(call, koffi().errno(), path);
}

function errnoError(call: string, errno: number, path?: string): NodeJS.ErrnoException {
  const code =
    Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? OTHER_ERRNOS[errno] ?? `E${errno}`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${call}${path === undefined ? '' : ` '${path}'`}`);
  error.code = code;
  error.errno = -errno;
  error.syscall = call;
  if (path !== undefined) error.path = path;
  return error;
}
