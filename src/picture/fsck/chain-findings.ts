import { formatBytes } from '../../base/units.ts';
import { LONGEST_CHAIN } from '../../lvhd/ops/snapshot-plan.ts';
import { type ChainNode, nodesOf } from '../forest.ts';
import { about, type Examined, snapshotFirst } from './examined.ts';
import { subject } from './disk-findings.ts';
import type { SrFinding } from './finding.ts';

/** How the disks hang together. */
export function chainFindings(examined: Examined): readonly SrFinding[] {
  return [
    ...examined.chains.flatMap((chain) => [
      ...lostParent(examined, chain),
      ...notHidden(examined, chain),
      ...toParent(examined, chain),
    ]),
    ...loops(examined),
    ...tooDeep(examined),
  ];
}

function lostParent({ picture, byUuid, chains }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { node, lostParent: lost } = chain;
  if (lost === undefined || node.old) return [];
  const uuid = node.parentUuid ?? '';
  const same = byUuid.get(uuid) ?? chains.find((other) => other.node.uuid === uuid);
  const renamed = same === undefined ? '' : `; ${same.node.lvName} has the same uuid`;
  return [
    {
      severity: 'error',
      code: 'parent-missing',
      ...about(chain),
      what: `${subject(chain)} names ${lost} as its parent, and there is no such volume${renamed}`,
      means: 'What it does not hold itself cannot be read: the disk, and what hangs on it, cannot be used.',
      todo: `${snapshotFirst(picture)}. Then delete, scan and collect nothing on this SR: the blocks of a volume that was removed are there until others are written over them.`,
    },
  ];
}

function notHidden({ picture }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { node, children } = chain;
  if (node.hidden || children.length === 0 || node.problem !== undefined) return [];
  return [
    {
      severity: 'error',
      code: 'parent-not-hidden',
      ...about(chain),
      what: `${subject(chain)} is not hidden, and ${children.length} disk${children.length === 1 ? ' hangs' : 's hang'} on it`,
      means: 'Whoever writes to it changes, in silence, what the disks above it show.',
      todo: `Start no VM that has VDI ${node.uuid}, and do not delete it. ${snapshotFirst(picture)}; then copy the disks above it elsewhere: xe vdi-copy uuid=${children[0]?.node.uuid ?? 'VDI'} sr-uuid=OTHER_SR`,
    },
  ];
}

/** What a child says of its parent against what is there. */
function toParent({ byLv }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { node } = chain;
  const { vhd, parentLvName } = node;
  if (vhd === undefined || parentLvName === undefined || node.old) return [];
  const findings: SrFinding[] = [];
  const others = vhd.parentNames.filter((name) => name !== parentLvName);
  if (others.length > 0) {
    findings.push({
      severity: 'warning',
      code: 'parent-names-differ',
      ...about(chain),
      what: `${subject(chain)} names its parent ${parentLvName} in its header, and elsewhere ${others.join(', ')}`,
      means: 'RBDSR and a scan go by the header; a tapdisk goes by the others, and may not find the parent.',
      todo: 'Try whether the disk can be attached (xe vdi-copy reads all of it). Change nothing by hand.',
    });
  }
  const parent = byLv.get(parentLvName)?.node;
  if (parent === undefined || parent.problem !== undefined) return findings;
  const holds = parent.kind === 'vhd' ? parent.vhd?.uuid : 'none';
  if (holds !== undefined && holds !== (vhd.parentImage ?? 'none')) {
    findings.push({
      severity: 'error',
      code: 'parent-other',
      ...about(chain),
      what: `${subject(chain)} was made over the image ${vhd.parentImage ?? 'of a raw disk'}, and its parent ${parentLvName} is ${holds === 'none' ? 'raw' : `the image ${holds}`}`,
      means: 'The volume of its parent holds something else: what the disk shows through it is not what was written.',
      todo: 'Do not use the disk, and delete nothing. Look for the image in the other volumes (rbdsr vhd info), or restore the disk from a backup.',
    });
  }
  if (parent.virtualSizeBytes > node.virtualSizeBytes) {
    findings.push({
      severity: 'warning',
      code: 'parent-larger',
      ...about(chain),
      what: `${subject(chain)} has ${formatBytes(node.virtualSizeBytes)}, and its parent ${formatBytes(parent.virtualSizeBytes)}`,
      means: 'No command makes a disk smaller than its parent. It shows the beginning of it.',
      todo: 'Nothing has to be done; if its guest misses the end, copy the parent.',
    });
  }
  return findings;
}

/** A chain without a root was drawn from one of its nodes on, which has a parent that is there. */
function loops({ forest, byLv }: Examined): readonly SrFinding[] {
  return forest
    .filter(({ node }) => !node.old && node.parentLvName !== undefined && byLv.has(node.parentLvName))
    .map(loopOf);
}

function loopOf(chain: ChainNode): SrFinding {
  const round = [...nodesOf([chain])].map(({ node }) => node.lvName).join(', ');
  return {
    severity: 'error',
    code: 'chain-loops',
    ...about(chain),
    what: `the parents of ${subject(chain)} lead back to it: ${round}`,
    means: 'None of these disks can be opened.',
    todo: 'Delete nothing; restore them from a backup, or ask for help with the output of rbdsr vhd info of each.',
  };
}

function tooDeep({ chains }: Examined): readonly SrFinding[] {
  return chains.filter(({ depth, children }) => depth >= LONGEST_CHAIN && children.length === 0).map(depthOf);
}

function depthOf(chain: ChainNode): SrFinding {
  return {
    severity: 'warning',
    code: 'chain-too-deep',
    ...about(chain),
    what: `the chain of ${subject(chain)} has ${chain.depth} nodes, and the limit is ${LONGEST_CHAIN}`,
    means: `No snapshot and no clone can be made of it, and each read may have to look into ${chain.depth} volumes.`,
    todo: 'Delete snapshots that are not needed and let the collector merge what is left; or copy the disk: xe vdi-copy makes one without parents.',
  };
}
