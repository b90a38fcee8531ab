import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { formatSpec } from '../ceph/image/image-spec.ts';
import { readChainNodes, readVdiNodes, type VdiNode } from '../lvhd/lv-table.ts';
import { MetadataVolume } from '../lvhd/metadata/metadata-volume.ts';
import { MGT_LV } from '../lvhd/names.ts';
import { VdiTree } from '../lvhd/tree.ts';
import { extentIo } from '../lvm/extents.ts';
import { lvNamed, type VgReport } from '../lvm/report.ts';
import type { AttachedSr } from './attached-sr.ts';
import { unavailable } from './sr-unavailable.ts';

/** What one look at an SR has found. */
export interface SrNodes {
  readonly report: VgReport;
  readonly tree: VdiTree;
}

/**
 * One report, unless one is known, and one batch of header reads; `silent`: lv-table.ts. 'sr-unavailable' where the
 * image no longer holds the volume group.
 */
export function readNodes(sr: AttachedSr, silent?: Set<string>, known?: VgReport): Promise<SrNodes> {
  return readWith(sr, (report, pv) => readVdiNodes(report, pv, silent), known);
}

/**
 * The same for one disk: the tree holds its chain and nothing else. Headers of other disks are not read, which may not
 * answer.
 */
export function readChain(sr: AttachedSr, vdi: VdiUuid, known?: VgReport): Promise<SrNodes> {
  return readWith(sr, (report, pv) => readChainNodes(report, pv, vdi), known);
}

async function readWith(
  sr: AttachedSr,
  read: (report: VgReport, pv: BlockIo) => Promise<readonly VdiNode[]>,
  known?: VgReport,
): Promise<SrNodes> {
  const report = known ?? (await reportOf(sr));
  const pv = await sr.openPv('read');
  try {
    return { report, tree: new VdiTree(await read(report, pv)) };
  } finally {
    await pv.close();
  }
}

export async function reportOf(sr: AttachedSr): Promise<VgReport> {
  const report = await sr.lvm.report();
  if (report === undefined) throw unavailable(sr.uuid, `has no volume group ${sr.vg} on ${formatSpec(sr.spec)}`, '');
  if (!report.partial) return report;
  throw unavailable(sr.uuid, `has an incomplete volume group ${sr.vg}`, 'Every physical volume has to be there.');
}

/** The metadata volume through its extents: it needs not be active. 'lvm-missing' where there is none. */
export async function withMetadata<T>(
  sr: AttachedSr,
  work: (mgt: MetadataVolume) => Promise<T>,
  known?: VgReport,
): Promise<T> {
  const lv = lvNamed(known ?? (await reportOf(sr)), MGT_LV);
  if (lv === undefined) {
    throw new RbdsrError('lvm-missing', {
      what: `SR ${sr.uuid} has no metadata volume`,
      todo: 'The next sr_attach on the pool master makes it: unplug and plug its PBD.',
    });
  }
  const pv = await sr.openPv('write');
  try {
    return await work(new MetadataVolume(extentIo(pv, lv)));
  } finally {
    await pv.close();
  }
}
