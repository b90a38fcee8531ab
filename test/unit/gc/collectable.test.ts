import { describe, expect, it } from 'vitest';
import { isCollectable } from '../../../src/sr/collectable.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import type { VgReport } from '../../../src/lvm/report.ts';
import { forestOf, planOf } from './forest-in-text.ts';

// Whether a scan starts a collector, which takes a process: it does wherever the plan has a step that can be done.

const report = { lvs: [] } as unknown as VgReport;

const SRS: readonly (readonly [string, string, boolean])[] = [
  ['nothing', '', false],
  ['disks alone', 'a\nb', false],
  ['a base with two disks', 'base hidden\n  a\n  b', false],
  ['a hidden node that nothing hangs on', 'gone hidden\na', true],
  ['a hidden node that is all that hangs on another', 'base hidden\n  inner hidden adds 8\n    a\n    b', true],
  ['two hidden nodes beside each other', 'base hidden\n  c\n  inner hidden\n    a\n    b', false],
  ['a leaf that is all that hangs on a base', 'base hidden\n  a', false],
];

describe('what starts a collector', () => {
  it.each(SRS)('%s: %s', (_title, text, expected) => {
    expect(isCollectable(new VdiTree(forestOf(text).known.nodes), report)).toBe(expected);
    const due = planOf(text).filter((line) => /^(merge VHD|delete|relink)/.test(line));
    expect(due.length > 0).toBe(expected);
  });
});
