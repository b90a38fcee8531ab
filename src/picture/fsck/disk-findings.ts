import { formatBytes } from '../../base/units.ts';
import { fullVhdLvSize } from '../../lvhd/sizes.ts';
import type { ImageFinding } from '../../vhd/check/findings.ts';
import { type ChainNode, nodesOf } from '../forest.ts';
import { mayBeWritten, usesOfDisk } from '../in-use.ts';
import { about, type Examined, pathOf, snapshotFirst } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** Findings of one disk that are told; `rbdsr vhd check` has all. */
const MOST_TOLD = 3;

/** Each volume by itself. */
export function diskFindings(examined: Examined): readonly SrFinding[] {
  return examined.chains.flatMap((chain) => [
    ...unreadable(examined, chain),
    ...damage(examined, chain),
    ...room(examined, chain),
  ]);
}

function unreadable({ picture }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { kind, problem } = chain.node;
  if (problem === undefined || kind === 'foreign') return [];
  const isDamage = problem.code === 'vhd-corrupt';
  return [
    {
      severity: 'error',
      code: isDamage ? 'vhd-damaged' : 'disk-unreadable',
      ...about(chain),
      what: `${subject(chain)} cannot be read: ${problem.message}`,
      means: isDamage
        ? `Neither it nor what hangs on it can be used, and no scan changes xapi's records before that is mended.${above(chain)}`
        : `The cluster did not give its blocks; whether they are sound is not known.${above(chain)}`,
      todo: isDamage
        ? `${snapshotFirst(picture)}. Then look at it with: rbdsr vhd check ${pathOf(picture, chain.node.lvName)}`
        : 'See why the cluster does not answer (ceph health detail), then look again.',
    },
  ];
}

function damage({ picture }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { node } = chain;
  if (node.problem !== undefined) return [];
  const inUse = mayBeWritten(picture, node);
  const errors = node.findings.filter(
    ({ severity, code }) => severity === 'error' && !(inUse && IN_USE.includes(code)),
  );
  if (errors.length === 0) return [];
  if (errors.every(({ code }) => code === 'end-footer')) return [footerLost(chain)];
  const told = errors.slice(0, MOST_TOLD).map(({ message }) => message);
  const more = errors.length > MOST_TOLD ? `; and ${errors.length - MOST_TOLD} more` : '';
  return [
    {
      severity: 'error',
      code: 'vhd-damaged',
      ...about(chain),
      what: `${subject(chain)} is not sound: ${told.join('; ')}${more}`,
      means: `What a guest reads from it may be wrong, and stock tools may refuse it.${above(chain)}`,
      todo: `${snapshotFirst(picture)}. All that is wrong: rbdsr vhd check ${pathOf(picture, node.lvName)}; what can be vouched for, into a file: rbdsr vhd cat. Then restore the disk from a backup.`,
    },
  ];
}

/** A tapdisk writes the footer when it closes the disk. */
const IN_USE: readonly ImageFinding['code'][] = ['end-footer', 'footers-differ'];

function footerLost(chain: ChainNode): SrFinding {
  return {
    severity: 'warning',
    code: 'footer-lost',
    ...about(chain),
    what: `${subject(chain)} has no footer at the end of its volume`,
    means:
      'It was in use, or its volume was growing, when its host went down. The copy at its start is good, and counts: no data are lost.',
    todo: 'Nothing: it is written when the disk is used and let go the next time.',
  };
}

function room({ picture }: Examined, chain: ChainNode): readonly SrFinding[] {
  const { node } = chain;
  const { vhd, lvSizeBytes } = node;
  if (vhd === undefined) return [];
  if (vhd.usedBytes > lvSizeBytes) {
    return [
      {
        severity: 'error',
        code: 'volume-too-small',
        ...about(chain),
        what: `${subject(chain)} needs ${formatBytes(vhd.usedBytes)}, and its volume has ${formatBytes(lvSizeBytes)}`,
        means: `Its last blocks, or its footer, lie behind the end of the volume.${above(chain)}`,
        todo: `${snapshotFirst(picture)}. Do not write to the disk; copy what can be read: rbdsr vhd cat.`,
      },
    ];
  }
  const full = fullVhdLvSize(node.virtualSizeBytes);
  const writer = usesOfDisk(picture, node).find(({ writes }) => writes);
  if (writer === undefined || lvSizeBytes >= full) return [];
  return [
    {
      severity: 'error',
      code: 'not-inflated',
      ...about(chain),
      what: `${subject(chain)} is in use for writing ${writer.text}, in a volume of ${formatBytes(lvSizeBytes)} that would have to have ${formatBytes(full)}`,
      means: 'Its guest gets I/O errors once the volume is full.',
      todo: 'Shut its VM down and start it again: activating the disk grows its volume. Before that see that the SR has room.',
    },
  ];
}

export function subject({ node, what }: ChainNode): string {
  return what === 'base copy' || what === 'hidden' ? `the base copy ${node.uuid}` : `VDI ${node.uuid}`;
}

/** The disks that a guest loses with a base copy. */
function above({ children }: ChainNode): string {
  const disks = [...nodesOf(children)].filter(({ node }) => !node.hidden);
  if (disks.length === 0) return '';
  return ` On it hang ${disks.length} disk${disks.length === 1 ? '' : 's'}: ${disks
    .slice(0, MOST_TOLD)
    .map(({ node }) => node.uuid)
    .join(', ')}${disks.length > MOST_TOLD ? ', ...' : ''}.`;
}
