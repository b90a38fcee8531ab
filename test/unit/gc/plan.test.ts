import { describe, expect, it } from 'vitest';
import { Forest } from '../../../src/gc/forest.ts';
import { planCollection } from '../../../src/gc/plan.ts';
import { planInWords } from '../../../src/gc/plan-in-words.ts';
import { forestOf, planOf } from './forest-in-text.ts';

describe('what the collector plans', () => {
  it('nothing, where every hidden node has two children', () => {
    expect(
      planOf(`
base hidden
  snapshot
  disk on alpha`),
    ).toEqual([]);
  });

  it('a hidden node that is the only child: its contents go into its parent', () => {
    expect(
      planOf(`
base hidden
  inner hidden adds 8
    snapshot
    disk`),
    ).toEqual(['merge VHD-inner into VHD-base, which grows by 8 MiB: VHD-inner is all that hangs on VHD-base']);
  });

  it('the same into a raw base, which has its room', () => {
    expect(
      planOf(`
base raw hidden
  inner hidden
    snapshot
    disk`),
    ).toEqual(['merge VHD-inner into LV-base: VHD-inner is all that hangs on LV-base']);
  });

  it('also while disks on it are in use, whichever host has them: their guests wait for a moment', () => {
    expect(
      planOf(`
base hidden
  inner hidden
    snapshot on beta
    inner2 hidden
      disk on alpha
      disk2 on beta`),
    ).toEqual([
      'merge VHD-inner into VHD-base: VHD-inner is all that hangs on VHD-base (in use: for a moment guests wait, on alpha, beta)',
    ]);
  });

  it('a leaf alone on its base, which makes them one volume', () => {
    expect(
      planOf(`
base hidden
  disk adds 8`),
    ).toEqual(['merge the leaf VHD-disk into VHD-base, which grows by 8 MiB: VHD-disk is all that hangs on VHD-base']);
  });

  it('the same into a raw base', () => {
    expect(
      planOf(`
base raw hidden
  disk adds 8`),
    ).toEqual(['merge the leaf VHD-disk into LV-base, which grows by 8 MiB: VHD-disk is all that hangs on LV-base']);
  });

  it('a leaf with more than is merged while nobody can use the disk: a base of it, which is merged as any other', () => {
    const leaf = (mib: number): string => `
base hidden
  disk adds ${mib}`;
    expect(planOf(leaf(20))[0]).toMatch(/^merge the leaf VHD-disk into VHD-base/);
    expect(planOf(leaf(22))).toEqual([
      'make a base of what VHD-disk holds (22 MiB), to merge that into VHD-base: VHD-disk is all that hangs on VHD-base',
    ]);
  });

  it('a leaf that a host has, or that is not to be merged, stays as it is', () => {
    expect(
      planOf(`
base hidden
  used on alpha
base2 hidden
  kept alone
base3 hidden
  open open
base4 raw hidden size 32
  large size 64
base5 hidden size 64
  small size 32`),
    ).toEqual([
      'leave VHD-used: a leaf is merged while no host has it, and it is in use on alpha',
      'leave VHD-kept: leaf-coalesce=false in its other_config',
      'leave VHD-open: a leaf is merged while no host has it, and it is open on this one',
      'leave VHD-large: it is larger than its raw parent LV-base4',
      'leave VHD-small: it is smaller than its parent VHD-base5, the rest of which it would show',
    ]);
  });

  it('a leaf for which there is no room, also not for its base', () => {
    const leaf = (mib: number): string => `
base hidden
  disk size 256 adds ${mib}`;
    expect(planOf(leaf(16), 23)).toEqual(['leave VHD-disk: merging it takes 24 MiB, and 23 MiB are free']);
    expect(planOf(leaf(16), 24)).toHaveLength(1);
    // An empty leaf on a base as large as what it holds, of a volume of 256 MiB; and the growing of the parent.
    expect(planOf(leaf(100), 10)).toEqual([expect.stringMatching(/^make a base of what VHD-disk holds/)]);
  });

  it('the tallest tree is merged first, and in it the lowest node', () => {
    expect(
      planOf(`
small hidden
  small1 hidden
    a
    b
tall hidden
  tall1 hidden
    tall2 hidden
      c
      d`),
    ).toEqual([
      'merge VHD-tall2 into VHD-tall1: VHD-tall2 is all that hangs on VHD-tall1',
      'merge VHD-tall1 into VHD-tall: VHD-tall1 is all that hangs on VHD-tall',
      'merge VHD-small1 into VHD-small: VHD-small1 is all that hangs on VHD-small',
    ]);
  });

  it('garbage, and what only garbage hangs on, the lowest first', () => {
    expect(
      planOf(`
base hidden
  inner hidden
    gone hidden
    gone2 hidden`),
    ).toEqual([
      'delete VHD-gone2: it is hidden, and nothing hangs on it',
      'delete VHD-gone: it is hidden, and nothing hangs on it',
      'delete VHD-inner: it is hidden, and all that hangs on it is garbage',
      'delete VHD-base: it is hidden, and all that hangs on it is garbage',
    ]);
  });

  it('garbage beside a disk goes first: what is left is looked at anew', () => {
    expect(
      planOf(`
base hidden
  inner hidden
    gone hidden
    disk`),
    ).toEqual([
      'delete VHD-gone: it is hidden, and nothing hangs on it',
      'leave VHD-inner: garbage that hangs on it is deleted first',
    ]);
  });

  it('garbage that somebody has open stays, with all above it', () => {
    expect(
      planOf(`
base hidden
  gone hidden on beta
base2 hidden
  inner2 hidden
    stray hidden open`),
    ).toEqual([
      'leave VHD-stray: it is garbage, but open on this host',
      'leave VHD-inner2: it is garbage, but VHD-stray stays',
      'leave VHD-base2: it is garbage, but VHD-inner2 stays',
      'leave VHD-gone: it is garbage, but in use on beta',
      'leave VHD-base: it is garbage, but in use on beta',
    ]);
  });
});

describe('what an interrupted run has left', () => {
  it('relinking goes on before anything else, and the node is no garbage until then', () => {
    expect(
      planOf(`
tall hidden
  tall1 hidden
    tall2 hidden
      a
      b
base hidden
  relinked
  inner hidden journal relink`),
    ).toEqual([
      'relink what hangs on VHD-inner to VHD-base: VHD-base has all of its data already, and what hangs on it was being relinked',
      'merge VHD-tall2 into VHD-tall1: VHD-tall2 is all that hangs on VHD-tall1',
      'merge VHD-tall1 into VHD-tall: VHD-tall1 is all that hangs on VHD-tall',
    ]);
  });

  it('relinking waits for a disk that was relinked already: its data path may have the node open', () => {
    expect(
      planOf(`
base hidden
  relinked on alpha
  inner hidden journal relink
    b
    c`),
    ).toEqual([
      'relink what hangs on VHD-inner to VHD-base: VHD-base has all of its data already, and what hangs on it was being relinked (in use: for a moment guests wait, on alpha)',
    ]);
  });

  it('nothing is merged into a node that is being relinked: it would be lost with it', () => {
    expect(
      planOf(`
base hidden
  inner hidden journal relink
    inner2 hidden
      a
      b`),
    ).toEqual([
      'relink what hangs on VHD-inner to VHD-base: VHD-base has all of its data already, and what hangs on it was being relinked',
      'leave VHD-inner2: its parent VHD-inner is about to go',
    ]);
  });

  it('copying that was cut short begins again, or is over where nothing hangs on it any more', () => {
    expect(
      planOf(`
base hidden
  inner hidden journal coalesce
    a
    b
base2 hidden
  inner2 hidden journal coalesce
  c`),
    ).toEqual([
      'delete VHD-inner2: it is hidden, and nothing hangs on it',
      'merge VHD-inner into VHD-base: VHD-inner is all that hangs on VHD-base',
    ]);
  });

  it.each(['inflate', 'clone', 'leaf', 'zero', 'jvhd', 'unheard'])('a journal of type %s keeps its tree', (type) => {
    const [first] = planOf(`
base hidden
  inner hidden
    a journal ${type}
    b`);
    expect(first).toMatch(new RegExp(`^leave VHD-inner: .* of a was interrupted \\(${type}_a_1\\)$`));
  });

  it('a leaf that was set aside keeps its tree', () => {
    expect(
      planOf(`
base hidden
  inner hidden
    a
    b
    leaf old`),
    ).toEqual(['leave VHD-inner: a leaf is being merged: VHD-OLD_leaf']);
  });

  it('one that stock had hidden, and forgotten its journal, is garbage beside its disk', () => {
    const set = (disk: string, aside: string): string[] => {
      const { known, names } = forestOf(`${disk}\n${aside}`);
      const [first, second] = known.nodes;
      const nodes = first && second ? [first, { ...second, uuid: first.uuid }] : [];
      const journals = known.journals.map((entry) => ({ ...entry, id: first?.uuid ?? entry.id }));
      return planInWords(planCollection(new Forest({ ...known, nodes, journals }), () => undefined)).map((line) =>
        line.replaceAll(/0{8}-0{4}-4000-8000-([0-9]{12})/g, (_, digits: string) => names[Number(digits)] ?? 'nobody'),
      );
    };
    expect(set('disk', 'aside old hidden')).toEqual([
      'delete VHD-OLD_aside: a merge has set it aside, and VHD-disk is whole without it',
    ]);
    expect(set('disk on alpha', 'aside old hidden')).toEqual([
      'leave VHD-OLD_aside: VHD-disk is whole without it, but in use on alpha',
    ]);
    expect(set('disk', 'aside old')).toEqual([]);
    expect(set('disk unreadable', 'aside old hidden')).toEqual([]);
    expect(set('disk', 'aside old hidden journal leaf')).toEqual([]);
  });
});

describe('what the collector leaves alone', () => {
  it('everything, beside a disk whose parent nobody knows', () => {
    const trees = (other: string): string => `
base hidden
  inner hidden
    a
    b
gone hidden
other ${other}`;
    expect(planOf(trees('unreadable'))).toEqual([
      'leave VHD-inner: a disk that cannot be read may hang on it: VHD-other',
      'leave VHD-gone: a disk that cannot be read may hang on it: VHD-other',
    ]);
    expect(planOf(trees('foreign'))).toEqual([
      'leave VHD-inner: a disk of another format may hang on it: QCOW2-other',
      'leave VHD-gone: a disk of another format may hang on it: QCOW2-other',
    ]);
  });

  it('a tree whose root names a parent that is not there', () => {
    expect(
      planOf(`
base hidden orphan
  inner hidden
    a
    b`),
    ).toEqual(['leave VHD-inner: the parent of VHD-base is not there: VHD-nobody']);
  });

  it('nodes whose chains come back to themselves', () => {
    expect(
      planOf(`
base hidden
  snapshot
  disk
a hidden under b
b hidden under a`),
    ).toEqual(['leave VHD-a: its chain comes back to itself', 'leave VHD-b: its chain comes back to itself']);
  });

  it('what there is no room for', () => {
    const forest = `
base hidden
  inner hidden adds 8
    a
    b`;
    expect(planOf(forest, 15)).toEqual(['leave VHD-inner: merging it takes 16 MiB, and 15 MiB are free']);
    expect(planOf(forest, 16)).toEqual([
      'merge VHD-inner into VHD-base, which grows by 8 MiB: VHD-inner is all that hangs on VHD-base',
    ]);
  });

  it('a parent that is a disk of its own, a raw one that is too small, and disks of HA', () => {
    expect(
      planOf(`
visible
  inner hidden
    a
    b
raw raw hidden size 32
  inner2 hidden size 64
    c
    d
base3 hidden
  ha kept`),
    ).toEqual([
      'leave VHD-inner: its parent VHD-visible is a disk of its own',
      'leave VHD-inner2: it is larger than its raw parent LV-raw',
      'leave VHD-ha: it is a disk of HA',
    ]);
  });
});
