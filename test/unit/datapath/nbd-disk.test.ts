import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { openDisk } from '../../../src/datapath/nbd/nbd-disk.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { encodeFooter, FOOTER_BYTES, newFooter } from '../../../src/vhd/format/footer.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';

const SIZE = 8 * MiB;
const PARENT = '22222222-2222-2222-2222-222222222222';
const CHILD = '33333333-3333-3333-3333-333333333333';
const data = Buffer.alloc(4096, 'data');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-nbd-disk-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A chain of two files; the parent's data lie behind its first 4 MiB. */
async function chainOfFiles(): Promise<{ target: string; parent: string }> {
  const [target, parent] = [join(folder, 'child'), join(folder, 'parent')];
  for (const path of [target, parent]) {
    writeFileSync(path, '');
    truncateSync(path, 16 * MiB);
  }
  const io = await openBlockIo(parent, 'write');
  await createVhd(io, { virtualSizeBytes: SIZE, uuid: PARENT, timestamp: 0 });
  const image = await VhdImage.open(io, 'write');
  await image.write(4 * MiB, data);
  await image.close();
  const leaf = await openBlockIo(target, 'write');
  const link = { name: 'parent', uuid: PARENT, modified: 0 };
  await createChild(leaf, { virtualSizeBytes: SIZE, uuid: CHILD, timestamp: 0 }, link);
  await leaf.close();
  return { target, parent };
}

test.each([
  ['another disk', CHILD],
  ['the parent, when it was smaller', PARENT],
])('a parent whose volume ends in the footer of %s is served by its copy at byte 0', async (_name, uuid) => {
  const { target, parent } = await chainOfFiles();
  const io = await openBlockIo(parent, 'write');
  const stale = newFooter({ uuid, timestamp: 0, virtualSizeBytes: 2 * MiB, diskType: 3 });
  await io.write(io.size - FOOTER_BYTES, encodeFooter(stale));
  await io.close();
  const disk = await openDisk({ kind: 'vhd', target, writable: false, parents: [{ kind: 'vhd', path: parent }] });
  expect(await disk.read(4 * MiB, data.length)).toEqual(data);
  await disk.close();
});
