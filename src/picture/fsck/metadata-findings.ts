import { CBT_LOG } from '../../lvhd/names.ts';
import type { ChainNode } from '../forest.ts';
import { subject } from './disk-findings.ts';
import { about, type Examined } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** The metadata volume against the volumes there are. */
export function metadataFindings(examined: Examined): readonly SrFinding[] {
  const { picture, disks } = examined;
  const { metadata } = disks;
  if (metadata === undefined) {
    return [
      {
        severity: 'error',
        code: 'metadata-missing',
        where: 'SR',
        what: 'there is no metadata volume, MGT',
        means: 'The names of disks, and which are snapshots of which, are in xapi only, and are lost with it.',
        todo: `Plug the PBD of the pool master anew (xe pbd-unplug, xe pbd-plug): that makes one.`,
      },
    ];
  }
  const rebuild = `rbdsr mgt rebuild ${picture.sr} --dry-run shows what would be written; without --dry-run it is. On the pool master, with xapi running.`;
  const damage = metadata.problems.map(
    (problem): SrFinding => ({
      severity: 'error',
      code: 'metadata-damaged',
      where: 'MGT',
      what: problem,
      means: 'Disks can be used; their names in it cannot be read or written before it is mended.',
      todo: rebuild,
    }),
  );
  const found = metadata.sr?.uuid;
  if (found !== undefined && found !== picture.sr) {
    damage.push({
      severity: 'error',
      code: 'metadata-of-another',
      where: 'MGT',
      what: `the metadata volume is of SR ${found}`,
      means: 'The image was copied, or the volume group renamed: its records may be of other disks.',
      todo: 'If this SR is a copy that was meant to be one: introduce it to another pool only. Change nothing here.',
    });
  }
  return [...damage, ...records(examined, rebuild, damage.length > 0)];
}

function records({ disks, byUuid, chains }: Examined, rebuild: string, isDamaged: boolean): readonly SrFinding[] {
  const vdis = disks.metadata?.vdis ?? [];
  const logs = new Set(disks.volumes.map(({ name }) => name).filter((name) => name.endsWith(CBT_LOG)));
  const lost = vdis.filter(({ uuid }) => !byUuid.has(uuid) && !logs.has(`${uuid}${CBT_LOG}`));
  const known = new Map(vdis.map((record) => [record.uuid, record]));
  const unknown = isDamaged ? [] : chains.filter((chain) => isRecorded(chain) && !known.has(chain.node.uuid));
  return [
    ...lost.map(
      ({ uuid, nameLabel: name }): SrFinding => ({
        severity: 'warning',
        code: 'record-without-volume',
        where: 'MGT',
        name,
        what: `the metadata volume has a record of VDI ${uuid}, of which there is no volume`,
        means: 'A deletion was cut short, or somebody removed the volume: in that case its data are gone.',
        todo: rebuild,
      }),
    ),
    ...unknown.map((chain) => withoutRecord(chain, rebuild)),
  ];
}

function withoutRecord(chain: ChainNode, todo: string): SrFinding {
  return {
    severity: 'warning',
    code: 'volume-without-record',
    ...about(chain),
    what: `the metadata volume has no record of ${subject(chain)}`,
    means: 'Its name is in xapi only. If xapi loses it, the disk is called by its uuid.',
    todo,
  };
}

/** A hidden node on which nothing hangs was deleted, its record first. */
function isRecorded({ node, what, children }: ChainNode): boolean {
  return what !== 'set aside' && (!node.hidden || children.length > 0) && node.problem === undefined;
}
