import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OTHER_ERRNOS } from '../errno-name.ts';

/** What a system call takes; an array is handed over as the memory that it is, which the kernel may change. */
export type SystemCallArgument = number | bigint | Uint8Array;

/** By its number on x86-64. `name` and `path` are for the errno that it throws as a NodeJS error. */
export function systemCall(
  { name, number, path }: { readonly name: string; readonly number: number; readonly path?: string },
  ...args: readonly SystemCallArgument[]
): number {
  const result = native().call(number, ...args);
  if (result >= 0) return result;
  throw errnoError(name, -result, path);
}

/** The same on a thread of the pool, for a call that blocks. */
export async function systemCallLater(
  { name, number }: { readonly name: string; readonly number: number },
  ...args: readonly (number | bigint)[]
): Promise<number> {
  const result = await native().callLater(number, ...args);
  if (result >= 0) return result;
  throw errnoError(name, -result);
}

/**
 * Where the bytes lie in memory. They never move: Node keeps every buffer above 64 bytes outside the collected heap.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return native().address(bytes);
}

/** system-call.c. A failed call gives its negative errno, which no other thread can have changed by then. */
interface Native {
  call(number: number, ...args: readonly SystemCallArgument[]): number;
  callLater(number: number, ...args: readonly (number | bigint)[]): Promise<number>;
  address(bytes: Uint8Array): bigint;
}

let loaded: Native | undefined;

/** Not before the first call: most commands make none. */
function native(): Native {
  if (loaded !== undefined) return loaded;
  const module = { exports: {} };
  process.dlopen(module, nativeFile());
  loaded = module.exports as Native;
  return loaded;
}

/** Beside the program, as scripts/build.mjs puts it; for the sources themselves, in the checkout's build folder. */
function nativeFile(): string {
  const program = fileURLToPath(import.meta.url);
  const beside = join(dirname(program), FILE);
  if (existsSync(beside)) return beside;
  for (let folder = dirname(program); folder !== dirname(folder); folder = dirname(folder)) {
    const built = join(folder, 'build', FILE);
    if (existsSync(built)) return built;
  }
  return beside;
}

const FILE = 'system-call.node';

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
