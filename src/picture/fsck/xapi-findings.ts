import { formatBytes } from '../../base/units.ts';
import { CBT_LOG } from '../../lvhd/names.ts';
import type { ChainNode } from '../forest.ts';
import type { RecordedVdi } from '../picture.ts';
import { subject } from './disk-findings.ts';
import { about, type Examined, scanCommand } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** xapi's records against the volumes there are. */
export function xapiFindings(examined: Examined): readonly SrFinding[] {
  const { picture, disks, chains, byUuid } = examined;
  if (picture.xapi === undefined) return [];
  const logs = new Set(disks.volumes.map(({ name }) => name).filter((name) => name.endsWith(CBT_LOG)));
  const recorded = new Set(picture.xapi.vdis.map(({ uuid }) => uuid));
  const scan = `${scanCommand(picture)} makes them agree; run it when no command works on the SR.`;
  return [
    ...picture.xapi.vdis.flatMap((vdi) => {
      const chain = byUuid.get(vdi.uuid);
      if (chain !== undefined) return differences(vdi, chain, scan);
      return logs.has(`${vdi.uuid}${CBT_LOG}`) ? [] : [withoutVolume(vdi, scan)];
    }),
    ...chains.filter((chain) => isShown(chain) && !recorded.has(chain.node.uuid)).map((chain) => unknown(chain, scan)),
    ...picture.xapi.vdis.flatMap(twoWriters),
  ];
}

function withoutVolume({ uuid, nameLabel: name }: RecordedVdi, todo: string): SrFinding {
  return {
    severity: 'error',
    code: 'xapi-without-volume',
    where: 'xapi',
    name,
    what: `xapi has a record of VDI ${uuid}, of which there is no volume`,
    means:
      'A deletion was cut short, or somebody removed the volume: in that case its data are gone. A VM that has the disk does not start.',
    todo: `If the disk is missed: delete and create nothing, its blocks may still be there. Else: ${todo}`,
  };
}

function differences(vdi: RecordedVdi, chain: ChainNode, todo: string): readonly SrFinding[] {
  const { node } = chain;
  if (node.problem !== undefined || node.kind === 'foreign') return [];
  const differing = [
    vdi.virtualBytes === node.virtualSizeBytes
      ? ''
      : `a size of ${formatBytes(vdi.virtualBytes)}, and the disk has ${formatBytes(node.virtualSizeBytes)}`,
    vdi.managed === !node.hidden ? '' : `${vdi.managed ? 'a disk' : 'a base copy'}, and its volume says the opposite`,
  ].filter((text) => text !== '');
  return differing.map((text) => differs(chain, text, todo));
}

function differs(chain: ChainNode, text: string, todo: string): SrFinding {
  return {
    severity: 'warning',
    code: 'xapi-differs',
    ...about(chain),
    what: `xapi has ${subject(chain)} as ${text}`,
    means: 'A command was cut short between the storage and xapi.',
    todo,
  };
}

/** As a scan does, which leaves out base copies on which nothing hangs. */
function isShown({ node, what, children }: ChainNode): boolean {
  return what !== 'set aside' && what !== 'foreign' && (!node.hidden || children.length > 0);
}

function unknown(chain: ChainNode, todo: string): SrFinding {
  return {
    severity: 'warning',
    code: 'volume-without-xapi',
    ...about(chain),
    what: `xapi has no record of ${subject(chain)}`,
    means: 'Nobody can see or use it. Its data are there.',
    todo,
  };
}

function twoWriters({ uuid, nameLabel: name, marks }: RecordedVdi): readonly SrFinding[] {
  const writers = marks.filter(({ mode }) => mode === 'RW');
  if (writers.length < 2) return [];
  return [
    {
      severity: 'error',
      code: 'two-writers',
      where: 'xapi',
      name,
      what: `VDI ${uuid} is marked as in use for writing on ${writers.map(({ host, ref }) => host ?? ref).join(' and ')}`,
      means: 'Two hosts that write to one disk destroy what is on it, unless their guests share it knowingly.',
      todo: 'See on which hosts its VM runs (xe vm-list); on a host where it does not: xe-toolstack-restart takes a mark away that is old.',
    },
  ];
}
