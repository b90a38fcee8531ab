import { dirname, join } from 'node:path';
import { readdirSync } from 'node:fs';
import { messageOf, RbdsrError } from '../../base/error.ts';
import { srUuid } from '../../base/ids.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { MetadataVolume } from '../../lvhd/metadata/metadata-volume.ts';
import { planRebuild, type RebuildNode, type RebuildPlan } from '../../lvhd/metadata/rebuild.ts';
import { type Salvage, salvage } from '../../lvhd/metadata/salvage.ts';
import { vdiOfLv, type VdiLv } from '../../lvhd/names.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { readHeaderSummary } from '../../vhd/format/header-summary.ts';
import type { CliCall } from '../cli-call.ts';
import type { RebuildSources } from './rebuild-sources.ts';
import { openImageFile } from '../disk/image-file.ts';
import { renderFields, renderTable } from '../table.ts';

export interface RebuildOptions {
  readonly dryRun?: true;
  readonly device?: string;
}

/**
 * `rbdsr mgt rebuild`: writes a metadata volume anew from xapi's records, what can still be read of it, and the logical
 * volumes. Nothing is written where it is sound and has a record for every disk. Safe to interrupt: it runs again
 * (docs/recovery.md).
 */
export async function rebuildMetadata(call: CliCall, sr: string, o: RebuildOptions): Promise<number> {
  const uuid = srUuid(sr);
  const work = (sources: RebuildSources): Promise<number> => rebuildFrom(call, uuid, sources, o.dryRun === true);
  if (o.device !== undefined) return withFile(o.device, o.dryRun === true, work);
  const { withAttachedVolume } = await import('./attached-volume.ts');
  return withAttachedVolume(call, uuid, o.dryRun === true, work);
}

async function rebuildFrom(call: CliCall, uuid: string, sources: RebuildSources, dryRun: boolean): Promise<number> {
  const salvaged = await salvage(sources.mgt);
  const found = salvaged.sr?.uuid;
  if (found !== undefined && found !== uuid) {
    throw new RbdsrError('invalid-argument', {
      what: `${sources.mgt.name} is the metadata volume of another SR`,
      expected: uuid,
      found: printable(found.slice(0, 80)),
    });
  }
  const plan = planRebuild({ ...sources, uuid, salvaged });
  call.print(describe(plan, salvaged));
  if (!needed(plan, salvaged)) {
    const every = plan.undecided.length === 0 ? 'every disk' : 'every disk but those left out';
    call.print(`\nThe metadata volume is sound and has a record for ${every}: nothing was written.\n`);
    return 0;
  }
  if (dryRun) {
    call.print('\nNothing was written (--dry-run).\n');
    return 0;
  }
  await new MetadataVolume(sources.mgt).create(
    plan.sr,
    plan.vdis.map(({ record }) => record),
  );
  call.print(`\nThe metadata volume was written: ${plan.vdis.length} disks.\n`);
  return 0;
}

function needed(plan: RebuildPlan, salvaged: Salvage): boolean {
  return salvaged.problems.length > 0 || plan.dropped.length > 0 || plan.vdis.length !== salvaged.vdis.length;
}

/**
 * A copy in a file, or the LV: the disks beside it, by their LVs' names, are disks of the SR too. Beside an LV those
 * are the active ones, whose headers say which are base copies.
 */
async function withFile(
  path: string,
  dryRun: boolean,
  work: (sources: RebuildSources) => Promise<number>,
): Promise<number> {
  const mgt = await openBlockIo(path, dryRun ? 'read' : 'write');
  try {
    const folder = dirname(path);
    const nodes: RebuildNode[] = [];
    for (const lvName of readdirSync(folder)) {
      const vdi = vdiOfLv(lvName);
      if (vdi !== undefined) nodes.push({ ...vdi, lvName, ...(await hiddenFlag(join(folder, lvName), vdi)) });
    }
    return await work({ mgt, nodes, allNodes: false });
  } finally {
    await mgt.close();
  }
}

/** In a VHD's footer. A raw volume has it as a tag of LVM's, which is not asked here. */
async function hiddenFlag(path: string, { kind }: VdiLv): Promise<Pick<RebuildNode, 'hidden' | 'scanError'>> {
  try {
    if (kind !== 'vhd') {
      throw new RbdsrError('vdi-unavailable', { what: `${printable(path)} does not say it`, expected: 'a VHD' });
    }
    const io = await openImageFile(path);
    try {
      const { hidden } = await readHeaderSummary(io);
      return { hidden };
    } finally {
      await io.close();
    }
  } catch (error) {
    if (!(error instanceof RbdsrError)) throw error;
    return { hidden: false, scanError: error };
  }
}

function describe({ sr, vdis, dropped, undecided }: RebuildPlan, salvaged: Salvage): string {
  const readable = new Map(salvaged.vdis.map((record) => [record.uuid, record]));
  const rows = vdis.map(({ record, source }) => {
    const before = readable.get(record.uuid);
    return [
      record.uuid,
      record.vdiType,
      printable(record.nameLabel),
      SOURCES[source],
      before === undefined ? 'no record' : printable(before.nameLabel),
    ];
  });
  const head = ['uuid', 'format', 'name to write', 'from', 'readable now'];
  const problems = salvaged.problems.map((problem) => `not readable: ${printable(messageOf(problem))}\n`);
  const left = dropped.map(({ uuid, nameLabel }) => `left out, no logical volume: ${uuid} ${printable(nameLabel)}\n`);
  const open = undecided.map(
    ({ lvName, scanError }) =>
      `left out, a disk or a base copy, no record says which: ${lvName}: ${printable(messageOf(scanError))}\n`,
  );
  return [
    ...problems,
    problems.length === 0 ? '' : '\n',
    renderFields([
      ['SR', sr.uuid],
      ['name', printable(sr.nameLabel)],
      ['allocation', sr.allocation],
    ]),
    '\n',
    rows.length === 0 ? 'no disks\n' : renderTable(head, rows),
    ...left,
    ...open,
  ].join('');
}

const SOURCES = { xapi: 'xapi', volume: 'the volume', uuid: 'its uuid' } as const;
