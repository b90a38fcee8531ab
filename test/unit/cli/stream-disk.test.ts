import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { streamDisk } from '../../../src/cli/disk/stream-disk.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';

test.each([0, 512, 2 * 1024 * 1024, 5 * 1024 * 1024 + 512])('%i bytes arrive, one chunk at a time', async (size) => {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-sm-stream-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const content = randomBytes(size);
  writeFileSync(join(folder, 'disk'), content);
  const io = await openBlockIo(join(folder, 'disk'), 'read');
  onTestFinished(() => io.close());

  const received: Buffer[] = [];
  let most = 0;
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      most = Math.max(most, slow.writableLength);
      received.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  await streamDisk(io, slow);
  expect(Buffer.concat(received).equals(content)).toBe(true);
  expect(most).toBeLessThanOrEqual(2 * 1024 * 1024);
});
