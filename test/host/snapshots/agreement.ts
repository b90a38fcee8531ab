import { expect } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { isUnfinished } from '../../../src/lvhd/names.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import type { LoopPool } from '../../support/loop-pool.ts';

export async function treeOf({ sr }: LoopPool): Promise<VdiTree> {
  return new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
}

export function uuidOf(row: Row): VdiUuid {
  return vdiUuid(stringOf(row, 'uuid'));
}

/**
 * Of an SR in which nothing is under way: volumes, metadata and xapi's records say the same of every node, and every
 * VHD is sound. `scanned`: a disk that only a scan has found has no record in the metadata volume.
 */
export async function expectAgreement(pool: LoopPool, { scanned = false } = {}): Promise<void> {
  const { sr, double, srRef } = pool;
  const report = await sr.report();
  const nodes = await treeOf(pool);
  expect(listJournals(report)).toEqual([]);
  expect(report.lvs.map(({ name }) => name).filter(isUnfinished)).toEqual([]);
  const rows = double.db.where('VDI', 'SR', srRef);
  expect(rows.map(uuidOf).toSorted()).toEqual(
    nodes
      .visible()
      .map(({ uuid }) => uuid)
      .toSorted(),
  );
  for (const row of rows) {
    const node = nodes.get(uuidOf(row));
    const smConfig = mapOf(row, 'sm_config');
    expect(smConfig).not.toHaveProperty('paused');
    const { physical_utilisation, managed } = row.fields;
    expect([physical_utilisation, smConfig['vhd-parent'], managed, smConfig['vdi_type']]).toEqual([
      node.lvSizeBytes,
      node.parentUuid,
      !node.hidden,
      node.kind,
    ]);
    expect(nodes.children(node.uuid).length > 0).toBe(node.hidden);
    if (node.kind === 'vhd') expect(await checkVhd(await sr.openLv(node.lvName, 'read'))).toEqual([]);
  }
  const { vdis, problems } = await new MetadataVolume(await sr.openLv('MGT', 'read')).read();
  expect(problems).toEqual([]);
  const recorded = vdis.map(({ uuid }) => uuid).toSorted();
  const known = rows.map(uuidOf).filter((uuid) => !scanned || recorded.includes(uuid));
  expect(recorded).toEqual(known.toSorted());
  if (!scanned) for (const { uuid, vdiType } of vdis) expect(vdiType).toBe(nodes.get(vdiUuid(uuid)).kind);
  expect(double.db.get('SR', srRef).fields['physical_utilisation']).toBe(report.sizeBytes - report.freeBytes);
  expect(double.offences).toEqual([]);
}
