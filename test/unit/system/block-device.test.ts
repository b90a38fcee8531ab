import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asyncProperty, assert as checkProperty, nat, tuple } from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { alignedBuffer, isAligned } from '../../../src/system/io/aligned-buffer.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';

// Beside the sources, not in /tmp: a file system in memory may not know O_DIRECT.
const folder = mkdtempSync(join(import.meta.dirname, '../../../node_modules/.rbdsr-system-io-'));
const path = join(folder, 'disk');
const SIZE = 64 * 1024;

afterAll(() => rmSync(folder, { recursive: true }));

function content(): Buffer {
  const bytes = Buffer.alloc(SIZE);
  for (let index = 0; index < SIZE; index += 32) createHash('sha256').update(`${index}`).digest().copy(bytes, index);
  return bytes;
}

describe.each([{ direct: false }, { direct: true }])('a file, %o', (options) => {
  test('reads any range', async () => {
    writeFileSync(path, content());
    const io = await openBlockIo(path, 'read', options);
    expect(io.size).toBe(SIZE);
    const range = tuple(nat(SIZE), nat(SIZE)).map(([a, b]) => [Math.min(a, b), Math.abs(a - b)] as const);
    await checkProperty(
      asyncProperty(range, async ([offset, length]) => {
        const bytes = await io.read(offset, length);
        expect(bytes.equals(content().subarray(offset, offset + length))).toBe(true);
      }),
    );
    await io.close();
  });

  test('overlapping, unaligned writes at the same time leave what one after the other would', async () => {
    writeFileSync(path, content());
    const io = await openBlockIo(path, 'write', options);
    const expected = content();
    // Neighbours share sectors but no byte, so the order does not matter and no byte of a neighbour may be lost.
    const writes = Array.from({ length: 200 }, (_, index) => {
      const offset = 100 + index * 300;
      const data = Buffer.alloc(300, index + 1);
      data.copy(expected, offset);
      return io.write(offset, data);
    });
    await Promise.all(writes);
    await io.flush();
    await io.close();
    expect(readFileSync(path).equals(expected)).toBe(true);
  });

  test('takes aligned and other memory', async () => {
    writeFileSync(path, content());
    const io = await openBlockIo(path, 'write', options);
    const aligned = alignedBuffer(8192).fill(1);
    const odd = Buffer.alloc(4096 + 3, 2).subarray(3);
    await Promise.all([io.write(0, aligned), io.write(8192, odd), io.write(SIZE, Buffer.alloc(0))]);
    await io.close();
    const expected = content()
      .fill(1, 0, 8192)
      .fill(2, 8192, 8192 + 4096);
    expect(readFileSync(path).equals(expected)).toBe(true);
  });

  test('refuses what lies outside and what comes after close, and says where', async () => {
    writeFileSync(path, content());
    const io = await openBlockIo(path, 'write', options);
    const outside = { code: 'io', detail: { facts: { device: path, offset: SIZE - 1, length: 2 } } };
    await expect(io.read(SIZE - 1, 2)).rejects.toMatchObject(outside);
    await expect(io.write(SIZE - 1, Buffer.alloc(2))).rejects.toMatchObject(outside);
    await expect(io.read(-1, 1)).rejects.toMatchObject({ code: 'io' });
    const reading = io.read(0, SIZE);
    await io.close();
    expect((await reading).equals(content())).toBe(true);
    await expect(io.read(0, 512)).rejects.toMatchObject({ code: 'io' });
    await expect(io.flush()).rejects.toMatchObject({ code: 'io' });
    await io.close();
  });

  test('names device, place and errno when the kernel refuses', async () => {
    writeFileSync(path, content());
    const io = await openBlockIo(path, 'read', options);
    await expect(io.write(4096, Buffer.alloc(512))).rejects.toMatchObject({
      code: 'io',
      message: `write of ${path} failed: EBADF at offset 4096, 512 bytes`,
    });
    await io.close();
  });
});

test('a file that ends within a sector is read and written to its end, and keeps its size', async () => {
  // Without a device, and so with the largest sectors there may be.
  const inMemory = mkdtempSync('/dev/shm/rbdsr-system-io-');
  try {
    const file = join(inMemory, 'disk.vhd');
    const expected = Buffer.concat([content(), Buffer.alloc(512, 7)]);
    writeFileSync(file, expected);
    const io = await openBlockIo(file, 'write', { direct: true });
    expect((await io.read(SIZE - 512, 1024)).equals(expected.subarray(SIZE - 512))).toBe(true);
    await io.write(SIZE, expected.fill(8, SIZE).subarray(SIZE));
    await io.flush();
    await io.close();
    expect(readFileSync(file).equals(expected)).toBe(true);
  } finally {
    rmSync(inMemory, { recursive: true });
  }
});

test('a device that is not there is not an i/o error', async () => {
  await expect(openBlockIo(join(folder, 'none'), 'read')).rejects.toMatchObject({ code: 'device-missing' });
  await expect(openBlockIo(folder, 'write')).rejects.toMatchObject({
    code: 'io',
    detail: { facts: { errno: 'EISDIR' } },
  });
});

test('aligned buffers lie on pages and survive the collection of their neighbours', () => {
  const buffers = Array.from({ length: 64 }, (_, index) => alignedBuffer(4096 * (1 + (index % 5))).fill(index));
  for (const [index, buffer] of buffers.entries()) {
    expect(isAligned(buffer)).toBe(true);
    expect(isAligned(buffer.subarray(1))).toBe(false);
    expect(buffer.every((byte) => byte === index)).toBe(true);
  }
});
