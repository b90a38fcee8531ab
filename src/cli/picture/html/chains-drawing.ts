import { formatBytes } from '../../../base/units.ts';
import { LONGEST_CHAIN } from '../../../lvhd/ops/snapshot-plan.ts';
import { type ChainNode } from '../../../picture/forest.ts';
import type { Picture } from '../../../picture/picture.ts';
import { heldText, inCeph, labelOfNode, stateText } from '../tree-text.ts';
import { apart, html, type Html } from './escape.ts';

/** Of a node's box and the room between two, in CSS pixels. */
const BOX = { width: 280, height: 82, right: 34, below: 14 } as const;
const EDGE = 4;

/** Each chain as a drawing of its own: the root at the left, what hangs on it to the right of it. */
export function chainsDrawing(picture: Picture, forest: readonly ChainNode[]): Html {
  if (forest.length === 0) return html`<p>There are no disks.</p>`;
  return html`${forest.map((chain) => drawing(picture, chain))}`;
}

interface Placed {
  readonly chain: ChainNode;
  readonly column: number;
  readonly row: number;
  readonly parent?: Placed;
}

function drawing(picture: Picture, root: ChainNode): Html {
  const places: Placed[] = [];
  const rows = place(root, 0, 0, undefined, places);
  const columns = Math.max(...places.map(({ column }) => column)) + 1;
  const width = 2 * EDGE + columns * (BOX.width + BOX.right) - BOX.right;
  const height = 2 * EDGE + rows * (BOX.height + BOX.below) - BOX.below;
  return html`<div class="chain"><svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="chain of ${labelOfNode(root)}">
${places.flatMap(lineOf)}${places.map((placed) => boxOf(picture, placed))}</svg></div>
`;
}

/** A node stands in the row of its first child, so that what goes on goes straight on. Answers the next free row. */
function place(chain: ChainNode, column: number, row: number, parent: Placed | undefined, places: Placed[]): number {
  const placed: Placed = { chain, column, row, ...(parent === undefined ? {} : { parent }) };
  places.push(placed);
  let next = row;
  for (const child of chain.children) next = place(child, column + 1, next, placed, places);
  return Math.max(next, row + 1);
}

function lineOf({ column, row, parent }: Placed): Html[] {
  if (parent === undefined) return [];
  const [fromX, fromY] = [leftOf(parent.column) + BOX.width, topOf(parent.row) + BOX.height / 2];
  const [toX, toY] = [leftOf(column), topOf(row) + BOX.height / 2];
  const middle = (fromX + toX) / 2;
  return [
    html`<path class="line" d="M${fromX} ${fromY}H${middle}V${toY}H${toX}"/>
`,
  ];
}

function boxOf(picture: Picture, { chain, column, row }: Placed): Html {
  const { node, what, depth, name } = chain;
  const kind = isWrong(chain) ? 'wrong' : what.replaceAll(' ', '-');
  const sizes = `${formatBytes(node.virtualSizeBytes)}, ${heldText(chain)} in ${formatBytes(node.lvSizeBytes)}${inCeph(
    picture,
    chain,
  )
    .map((text) => `, ${text} in Ceph`)
    .join('')}`;
  const state = stateText(picture, chain);
  const last = `depth ${depth}/${LONGEST_CHAIN}${state === '' ? '' : `, ${state}`}`;
  const frame = html`x="${leftOf(column)}" y="${topOf(row)}" width="${BOX.width}" height="${BOX.height}"`;
  const lines = html`<b>${apart(labelOfNode(chain))}</b><span>${sizes}</span><span>${node.uuid}</span><span>${apart(last)}</span>`;
  return html`<g class="node ${kind}"><title>${node.lvName} ${name === undefined ? '' : labelOfNode(chain)} ${last}</title>
<rect ${frame} rx="5"/><foreignObject ${frame}><div xmlns="http://www.w3.org/1999/xhtml" class="box">${lines}</div></foreignObject></g>
`;
}

function isWrong({ node, lostParent }: ChainNode): boolean {
  const isDamaged = node.findings.some(({ severity }) => severity === 'error');
  return lostParent !== undefined || node.problem !== undefined || (isDamaged && !node.active);
}

function leftOf(column: number): number {
  return EDGE + column * (BOX.width + BOX.right);
}

function topOf(row: number): number {
  return EDGE + row * (BOX.height + BOX.below);
}
