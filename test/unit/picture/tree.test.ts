import { expect, test } from 'vitest';
import { treeText } from '../../../src/cli/picture/tree-text.ts';
import { forestOf, nodesOf } from '../../../src/picture/forest.ts';
import { asked, attached, childOf, disksOf, HOSTILE, offline, stored, usualSr, uuid, vhdNode } from './sample.ts';

test('the chains of an SR that is in use', async () => {
  await expect(treeText(usualSr())).toMatchFileSnapshot('__snapshots__/tree.txt');
});

test('with what the cluster holds of each volume', async () => {
  await expect(treeText(asked(usualSr()))).toMatchFileSnapshot('__snapshots__/tree-in-ceph.txt');
});

test('with xapi down, what it would have told is said to be missing', async () => {
  const { xapi: _down, ...rest } = usualSr();
  const picture = {
    ...rest,
    missing: [{ part: 'xapi' as const, why: 'xapi does not answer on /var/lib/xcp/xapi', wanted: true }],
  };
  await expect(treeText(picture)).toMatchFileSnapshot('__snapshots__/tree-without-xapi.txt');
});

test('a name is text, whatever it holds', () => {
  const text = treeText(offline(disksOf([vhdNode(1)], [stored(1, HOSTILE)])));
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  expect(text).toContain('evil\\x1b[2J\\u{202e}\\x0a<script>');
});

test('a lost parent, a parent that was set aside, and a chain that comes back to itself', () => {
  const nodes = [
    childOf(99, 1),
    vhdNode(2, { old: true, lvName: `VHD-OLD_${uuid(2)}` }),
    childOf(4, 3),
    childOf(3, 4),
    childOf(4, 5),
  ];
  const text = treeText(offline(disksOf(nodes, [])));
  expect(text).toContain(`its parent VHD-${uuid(99)} is missing`);
  expect(text).toContain('set aside by a merge');
  const drawn = [...nodesOf(forestOf(offline(disksOf(nodes, []))))].map(({ node }) => node.lvName);
  expect(drawn.toSorted()).toEqual(nodes.map(({ lvName }) => lvName).toSorted());
});

test('depth counts from the root, whatever its kind', () => {
  const chain = Array.from({ length: 31 }, (_unused, at) => (at === 0 ? vhdNode(1) : childOf(at, at + 1)));
  expect(treeText(offline(disksOf(chain, [])))).toMatch(/^longest chain: 31 of 30 nodes$/m);
});

test('a cluster that does not answer leaves what else is known', () => {
  const { disks: _unread, ...rest } = attached(disksOf([], []));
  const text = treeText({ ...rest, missing: [{ part: 'disks', why: 'waited 58.0 s for the cluster', wanted: true }] });
  expect(text).toMatch(/^room: +not known$/m);
  expect(text).toContain('Not known, what is on the image: waited 58.0 s for the cluster');
});
