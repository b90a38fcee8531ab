import { formatBytes } from '../../base/units.ts';
import type { Picture } from '../../picture/picture.ts';
import { LONGEST_CHAIN } from '../../lvhd/ops/snapshot-plan.ts';
import { type ChainNode, forestOf, nodesOf } from '../../picture/forest.ts';
import { usesOfDisk } from '../../picture/in-use.ts';
import { renderFields, renderTable } from '../table.ts';
import { imageText, missingText, nameOfSr, placeText, poolText, roomText } from './facts.ts';
import { shown, shownName } from './shown.ts';

/** An SR as `rbdsr tree` prints it. Pure. */
export function treeText(picture: Picture): string {
  const forest = forestOf(picture);
  const rows = forest.flatMap((chain) => rowsOf(picture, chain, '', ''));
  return [
    renderFields([
      ['SR', `${picture.sr}${nameOfSr(picture)}`],
      ['on', placeText(picture)],
      ['room', roomText(picture)],
      ['longest chain', longest(forest)],
      ...fieldOf('image', imageText(picture)),
      ...fieldOf('pool', poolText(picture)),
    ]),
    '\n',
    rows.length === 0 ? 'no disks\n' : renderTable(headOf(picture), rows),
    missingText(picture),
  ].join('');
}

function fieldOf(name: string, text: string | undefined): [string, string][] {
  return text === undefined ? [] : [[name, shown(text)]];
}

function headOf({ cluster }: Picture): string[] {
  return ['disk', 'uuid', 'size', 'volume', 'in it', ...(cluster?.held === undefined ? [] : ['in Ceph']), 'depth', ''];
}

function rowsOf(picture: Picture, chain: ChainNode, lead: string, branch: string): string[][] {
  const { node, children, depth } = chain;
  const row = [
    `${lead}${branch}${labelOfNode(chain)}`,
    node.uuid,
    node.virtualSizeBytes === 0 ? '?' : formatBytes(node.virtualSizeBytes),
    formatBytes(node.lvSizeBytes),
    heldText(chain),
    ...inCeph(picture, chain),
    `${depth}/${LONGEST_CHAIN}`,
    stateText(picture, chain),
  ];
  const below = `${lead}${branch === '' ? '' : branch === LAST ? '   ' : '│  '}`;
  const rows = children.map((child, at) => rowsOf(picture, child, below, at === children.length - 1 ? LAST : '├─ '));
  return [row, ...rows.flat()];
}

const LAST = '└─ ';

export function labelOfNode({ name, what }: ChainNode): string {
  if (what === 'base copy' && (name === undefined || name === 'base copy')) return 'base copy';
  return name === undefined ? '(no name)' : shownName(name);
}

/** What its data, and what describes them, need of the volume. A raw disk fills its own. */
export function heldText({ node }: ChainNode): string {
  if (node.kind === 'aio') return formatBytes(node.lvSizeBytes);
  return node.vhd === undefined ? '?' : formatBytes(node.vhd.usedBytes);
}

/** One text where the cluster was asked, and none where not. */
export function inCeph({ cluster }: Picture, { node }: ChainNode): readonly string[] {
  const held = cluster?.held;
  return held === undefined ? [] : [formatBytes(held.byVolume[node.lvName] ?? 0)];
}

export function stateText(picture: Picture, chain: ChainNode): string {
  const { node, what, name, lostParent } = chain;
  const errors = node.findings.filter(({ severity }) => severity === 'error').length;
  return [
    what === 'disk' || (what === 'base copy' && (name === undefined || name === 'base copy')) ? '' : WHAT[what],
    node.kind === 'aio' ? 'raw' : '',
    ...usesOfDisk(picture, node).map(({ text }) => shown(text)),
    lostParent === undefined ? '' : `its parent ${shown(lostParent)} is missing`,
    node.problem === undefined ? '' : 'cannot be read',
    errors === 0 || node.problem !== undefined ? '' : 'not sound',
  ]
    .filter((text) => text !== '')
    .join(', ');
}

const WHAT = {
  disk: 'disk',
  snapshot: 'snapshot',
  'base copy': 'base copy',
  hidden: 'hidden, no disk hangs on it',
  'set aside': 'set aside by a merge',
  foreign: 'of a format that RBDSR does not drive',
} as const;

function longest(forest: readonly ChainNode[]): string {
  const depth = Math.max(0, ...[...nodesOf(forest)].map((chain) => chain.depth));
  return `${depth} of ${LONGEST_CHAIN} nodes`;
}
