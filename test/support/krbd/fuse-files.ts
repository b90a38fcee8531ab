import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants as fsConstants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** What a write to each file does; the writer gets its answer when that is done, or EIO where it fails. */
export type WrittenFiles = Readonly<Record<string, (text: string) => Promise<void>>>;

/**
 * Files that this process serves at `place`, a folder, by the protocol of Linux include/uapi/linux/fuse.h, spoken on
 * /dev/fuse: no FUSE library is needed. This process itself must not touch them. Disposing takes them away.
 */
export async function serveFiles(place: string, files: WrittenFiles): Promise<AsyncDisposable> {
  const fuse = await open('/dev/fuse', fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
  const until = new AbortController();
  const served = serve(fuse, files, until.signal);
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  await run('mount', ['-i', '-n', '-t', 'fuse', '-o', options, 'served', place], fuse.fd);
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['--lazy', place]);
      until.abort();
      await served;
      // Mount namespaces of others may have it still: it is dead there from now on.
      await fuse.close();
    },
  };
}

async function run(program: string, args: readonly string[], fd?: number): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit', ...(fd === undefined ? [] : [fd])] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${code}`);
}

/** Looks every few milliseconds: a read that waits could not be ended. */
async function serve(fuse: FileHandle, files: WrittenFiles, until: AbortSignal): Promise<void> {
  const buffer = Buffer.alloc(64 * 1024);
  while (!until.aborted) {
    try {
      const { bytesRead } = await fuse.read(buffer, 0, buffer.length, null);
      void answer(fuse, Buffer.from(buffer.subarray(0, bytesRead)), files);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENODEV') return;
      // Nothing asked; not mounted yet; or whoever asked has been killed.
      if (code !== 'EAGAIN' && code !== 'EPERM' && code !== 'ENOENT') throw error;
      await pause(3);
    }
  }
}

const LOOKUP = 1;
const GETATTR = 3;
const SETATTR = 4;
const OPEN = 14;
const WRITE = 16;
const INIT = 26;
/** FORGET, INTERRUPT, BATCH_FORGET. */
const WITHOUT_REPLY: readonly number[] = [2, 36, 42];
const HEADER_BYTES = 40;
const WRITE_HEADER_BYTES = 40;
const ROOT = 1;

async function answer(fuse: FileHandle, request: Buffer, files: WrittenFiles): Promise<void> {
  const opcode = request.readUInt32LE(4);
  if (WITHOUT_REPLY.includes(opcode)) return;
  const body = await bodyOf(opcode, Number(request.readBigUInt64LE(16)), request.subarray(HEADER_BYTES), files);
  const isError = typeof body === 'number';
  const reply = Buffer.alloc(16 + (isError ? 0 : body.length));
  reply.writeUInt32LE(reply.length, 0);
  reply.writeInt32LE(isError ? -body : 0, 4);
  request.copy(reply, 8, 8, 16);
  if (!isError) body.copy(reply, 16);
  await fuse.write(reply, 0, reply.length, null).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
}

/** What the request gets, or an errno. Nothing may be kept by the kernel. */
async function bodyOf(opcode: number, node: number, rest: Buffer, files: WrittenFiles): Promise<Buffer | number> {
  const names = Object.keys(files);
  if (opcode === INIT) return initialised();
  if (opcode === GETATTR || opcode === SETATTR) return Buffer.concat([Buffer.alloc(16), attributes(node)]);
  // The answers must not be cached: direct I/O (FOPEN_DIRECT_IO).
  if (opcode === OPEN) return numbers([0n], [1, 0]);
  if (opcode === LOOKUP) {
    const index = names.indexOf(rest.toString('utf8', 0, rest.indexOf(0)));
    if (index < 0) return constants.errno.ENOENT;
    return Buffer.concat([numbers([BigInt(nodeOf(index)), 0n, 0n, 0n], [0, 0]), attributes(nodeOf(index))]);
  }
  if (opcode !== WRITE) return constants.errno.ENOSYS;
  const text = rest.subarray(WRITE_HEADER_BYTES, WRITE_HEADER_BYTES + rest.readUInt32LE(16));
  const written = names.find((_name, index) => nodeOf(index) === node);
  try {
    await files[written ?? '']?.(text.toString());
    return numbers([], [text.length, 0]);
  } catch {
    return constants.errno.EIO;
  }
}

function nodeOf(index: number): number {
  return ROOT + 1 + index;
}

/** Protocol 7.31; writes of at most 4 KiB. */
function initialised(): Buffer {
  const body = Buffer.alloc(64);
  [7, 31, 4096, 0].forEach((value, index) => body.writeUInt32LE(value, 4 * index));
  [8, 8].forEach((value, index) => body.writeUInt16LE(value, 16 + 2 * index));
  [4096, 1].forEach((value, index) => body.writeUInt32LE(value, 20 + 4 * index));
  body.writeUInt16LE(1, 28);
  return body;
}

/** A folder, or a file that only its owner may write to. */
function attributes(node: number): Buffer {
  const [mode, size] = node === ROOT ? [0o040755, 0n] : [0o100200, 4096n];
  return numbers([BigInt(node), size, 0n, 0n, 0n, 0n], [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]);
}

function numbers(longs: readonly bigint[], words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 * longs.length + 4 * words.length);
  longs.forEach((value, index) => bytes.writeBigUInt64LE(value, 8 * index));
  words.forEach((value, index) => bytes.writeUInt32LE(value, 8 * longs.length + 4 * index));
  return bytes;
}
