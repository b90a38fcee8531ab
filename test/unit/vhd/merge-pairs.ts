import { createHash } from 'node:crypto';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { ABSENT } from '../../../src/vhd/image/extents.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { Random } from './mutants/random.ts';
import { RecordedIo } from './recorded-io.ts';

const SIZE = 12 * MiB;
const SECTORS = SIZE / SECTOR;
const BASE = '11111111-1111-1111-1111-111111111111';
const CHILD = '22222222-2222-2222-2222-222222222222';

/** A parent, `parent.vhd`, and its child, as a seed decides what they have. */
export async function pairOfSeed(seed: number): Promise<{ readonly parent: RecordedIo; readonly child: RecordedIo }> {
  const random = new Random(seed);
  const parent = new RecordedIo(SIZE + 2 * MiB, 'parent.vhd');
  const child = new RecordedIo(SIZE + 2 * MiB, 'child.vhd');
  const made = { virtualSizeBytes: SIZE, timestamp: 0 };
  await createVhd(parent, { ...made, uuid: BASE });
  await createChild(child, { ...made, uuid: CHILD }, { name: 'parent.vhd', uuid: BASE, modified: 0 });
  for (const io of [parent, child]) {
    const image = await VhdImage.open(io, 'write');
    for (let left = random.below(12); left > 0; left -= 1) {
      const first = random.pick([random.below(SECTORS), 4096 * random.below(6)]);
      const most = random.pick([1, 9, 300, 4096, 9000]);
      const sectors = Math.min(SECTORS - first, 1 + random.below(most));
      await image.write(first * SECTOR, Buffer.alloc(sectors * SECTOR, random.bytes(7)));
    }
    await image.close();
  }
  return { parent, child };
}

/** Which sectors an image has, and what is in them. */
export async function sumOf(image: VhdImage): Promise<string> {
  const sum = createHash('sha256');
  for (const { offset, length, at } of await image.extents(0, image.virtualSizeBytes)) {
    sum.update(`${offset} ${length} ${at !== ABSENT}\n`);
    if (at !== ABSENT) sum.update(await image.io.read(at, length));
  }
  return sum.digest('hex');
}
