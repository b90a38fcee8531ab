import { expect, it } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { MiB } from '../../../src/base/units.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';
import { makeManyVdis, manyVdisBytes, manyVdiUuid } from '../../support/lvhd-many-vdis.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';

const SR = '5a1c7f00-1111-4222-8333-0123456789ad';

it.each([10, 1000])('a table of %i VDIs takes one small read for each', async (count) => {
  using loop = loopDevice(manyVdisBytes(count));
  await using sr = await openSrOn(loop.device, SR);
  await makeManyVdis(sr, count);
  const report = await sr.report();
  const reads: { readonly offset: number; readonly length: number }[] = [];
  const counting: BlockIo = {
    ...sr.pvIo,
    name: sr.pvIo.name,
    size: sr.pvIo.size,
    read: (offset, length) => {
      reads.push({ offset, length });
      return sr.pvIo.read(offset, length);
    },
  };
  const nodes = await readVdiNodes(report, counting);
  expect(nodes.map((node) => node.uuid)).toEqual(Array.from({ length: count }, (_, n) => manyVdiUuid(n)));
  expect(
    nodes.filter((node) => node.virtualSizeBytes !== 10 * MiB || node.hidden || node.scanError !== undefined),
  ).toEqual([]);
  expect(reads).toHaveLength(count);
  expect(reads.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(count * 4096);
  const offsets = reads.map(({ offset }) => offset);
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
});
