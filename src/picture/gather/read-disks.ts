import type { BlockIo } from '../../base/block-io.ts';
import { messageOf, RbdsrError } from '../../base/error.ts';
import { readVdiNodes } from '../../lvhd/lv-table.ts';
import { listJournals, readJournalValue } from '../../lvhd/journal/journal.ts';
import { salvage } from '../../lvhd/metadata/salvage.ts';
import { JOURNAL_TAG, MGT_LV, RESIZE_JOURNAL_TAG } from '../../lvhd/names.ts';
import { extentIo } from '../../lvm/extents.ts';
import { lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import type { DiskNode, Disks, InterruptedOperation, MetadataPart, ReadProblem } from '../disks.ts';
import { lookAtNode } from './look-at-node.ts';

/** Disks that are looked at beside each other. */
const PARALLEL_LOOKS = 8;

/**
 * All that is on the device of an SR's one physical volume, through the extents: no volume has to be active, and none
 * becomes so. What cannot be read costs its own volume only.
 */
export async function readDisksOn(report: VgReport, pv: BlockIo): Promise<Omit<Disks, 'unsettled'>> {
  const { lvs: volumes, ...vg } = report;
  const found = await readVdiNodes(report, pv);
  const nodes: DiskNode[] = [];
  const queue = found.values();
  const worker = async (): Promise<void> => {
    for (const node of queue) nodes.push(await lookAtNode(node, lvNamed(report, node.lvName), pv));
  };
  await Promise.all(Array.from({ length: PARALLEL_LOOKS }, worker));
  const journals: InterruptedOperation[] = [];
  for (const lv of volumes.filter(isJournal)) journals.push(await interrupted(report, lv, pv));
  const metadata = await metadataOf(lvNamed(report, MGT_LV), pv);
  return {
    vg,
    volumes,
    nodes: nodes.toSorted((a, b) => (a.lvName < b.lvName ? -1 : 1)),
    journals,
    ...(metadata === undefined ? {} : { metadata }),
  };
}

/** For people and JSON; anything but ours is a defect. */
export function problemOf(error: unknown): ReadProblem {
  if (error instanceof RbdsrError) return { code: error.code, message: error.message };
  throw error;
}

function isJournal({ tags }: LvReport): boolean {
  return tags.includes(JOURNAL_TAG) || tags.includes(RESIZE_JOURNAL_TAG);
}

async function interrupted(report: VgReport, lv: LvReport, pv: BlockIo): Promise<InterruptedOperation> {
  const lvName = lv.name;
  try {
    const [entry] = listJournals({ ...report, lvs: [lv] });
    if (entry === undefined) return { lvName };
    const known = { lvName, type: entry.type, vdi: entry.id };
    try {
      return { ...known, value: await readJournalValue(entry, async () => extentIo(pv, lv)) };
    } catch (error) {
      return { ...known, problem: problemOf(error) };
    }
  } catch (error) {
    return { lvName, problem: problemOf(error) };
  }
}

async function metadataOf(lv: LvReport | undefined, pv: BlockIo): Promise<MetadataPart | undefined> {
  if (lv === undefined) return undefined;
  try {
    const { sr, vdis, problems } = await salvage(extentIo(pv, lv));
    return { ...(sr === undefined ? {} : { sr }), vdis, problems: problems.map(messageOf) };
  } catch (error) {
    return { vdis: [], problems: [problemOf(error).message] };
  }
}
