import { describe, expect, it } from 'vitest';
import { isCollectable } from '../../../src/sr/collectable.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import type { VgReport } from '../../../src/lvm/report.ts';
import type { VdiRecord } from '../../../src/xapi/vdi.ts';
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
  ['a leaf that is all that hangs on a base', 'base hidden\n  a', true],
  ['the same, in use', 'base hidden\n  a on alpha', false],
  ['the same, which is to stay as it is', 'base hidden\n  a alone', false],
];

/** What xapi says of them. */
function recordsOf({ activeOn, notFolded }: ReturnType<typeof forestOf>['known']): VdiRecord[] {
  const record = (uuid: string, smConfig: object, otherConfig: object): VdiRecord =>
    ({ uuid, smConfig, otherConfig, onBoot: 'persist', allowCaching: false }) as VdiRecord;
  const used = [...activeOn.keys()].map((uuid) => record(uuid, { host_alpha: 'RW' }, {}));
  const kept = [...notFolded.keys()].map((uuid) => record(uuid, {}, { 'leaf-coalesce': 'false' }));
  return [...used, ...kept];
}

describe('what starts a collector', () => {
  it.each(SRS)('%s: %s', (_title, text, expected) => {
    const { known } = forestOf(text);
    expect(isCollectable(new VdiTree(known.nodes), report, recordsOf(known))).toBe(expected);
    const due = planOf(text).filter((line) => /^(merge|delete|relink)/.test(line));
    expect(due.length > 0).toBe(expected);
  });
});
