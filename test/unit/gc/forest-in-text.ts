import { RbdsrError } from '../../../src/base/error.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { Forest } from '../../../src/gc/forest.ts';
import { planCollection } from '../../../src/gc/plan.ts';
import { planInWords } from '../../../src/gc/plan-in-words.ts';
import { mergeRoom } from '../../../src/gc/room.ts';
import type { JournalEntry } from '../../../src/lvhd/journal/journal.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';

/**
 * An SR in a few lines, a disk each, under the one that it hangs on, with what is known of it behind its name:
 *
 *     base hidden raw
 *       inner hidden adds 8
 *         disk on alpha,beta
 *
 * `adds`: MiB that its blocks take in its parent. `on`: hosts. Also: journal TYPE, kept, alone (not to
 * be folded), unreadable, foreign, old, open, size MiB, orphan, under NAME.
 */
export function planOf(text: string, freeMiB = 1000): string[] {
  const { known, names, adds } = forestOf(text, freeMiB);
  const plan = planCollection(new Forest(known), ({ uuid }) => roomFor(adds.get(uuid) ?? 0));
  return planInWords(plan).map((line) =>
    line.replaceAll(/0{8}-0{4}-4000-8000-([0-9]{12})/g, (_, digits: string) => names[Number(digits)] ?? 'nobody'),
  );
}

/** The same before anything is planned. */
export function forestOf(text: string, freeMiB = 1000) {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const names = lines.map((line) => line.trim().split(' ')[0] ?? '');
  const known = {
    nodes: [] as VdiNode[],
    journals: [] as JournalEntry[],
    activeOn: new Map<string, readonly string[]>(),
    kept: new Map<string, string>(),
    notFolded: new Map<string, string>(),
    freeBytes: freeMiB * MiB,
  };
  const adds = new Map<string, number>();
  const above: { depth: number; uuid: VdiUuid }[] = [];
  for (const [index, line] of lines.entries()) {
    const depth = line.length - line.trimStart().length;
    while ((above.at(-1)?.depth ?? -1) >= depth) above.pop();
    const uuid = uuidOf(index);
    const words = line.trim().split(' ').slice(1);
    const after = (word: string): string | undefined =>
      words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
    const under = after('under');
    const named = words.includes('orphan') ? NOBODY : names.indexOf(under ?? '');
    const parent = named >= 0 ? uuidOf(named) : above.at(-1)?.uuid;
    known.nodes.push(nodeOf(uuid, parent, words, Number(after('size') ?? 64)));
    above.push({ depth, uuid });
    for (const [i, word] of words.entries())
      if (word === 'journal') known.journals.push(journalOf(words[i + 1] ?? '', uuid));
    const hosts = after('on');
    if (hosts !== undefined) known.activeOn.set(uuid, hosts.split(','));
    if (words.includes('alone')) known.notFolded.set(uuid, 'leaf-coalesce=false in its other_config');
    if (words.includes('kept')) known.kept.set(uuid, 'it is a disk of HA');
    adds.set(uuid, Number(after('adds') ?? 0));
  }
  return { known, names, adds };
}

const NOBODY = 999;

function uuidOf(index: number): VdiUuid {
  return vdiUuid(`00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
}

function nodeOf(uuid: VdiUuid, parentUuid: VdiUuid | undefined, words: readonly string[], sizeMiB: number): VdiNode {
  const kind = words.includes('raw') ? 'aio' : words.includes('foreign') ? 'foreign' : 'vhd';
  const prefix = { aio: 'LV-', foreign: 'QCOW2-', vhd: 'VHD-' }[kind];
  const unknown = words.includes('unreadable') || kind === 'foreign';
  return {
    uuid,
    kind,
    lvName: `${prefix}${words.includes('old') ? 'OLD_' : ''}${uuid}`,
    lvSizeBytes: sizeMiB * MiB,
    virtualSizeBytes: sizeMiB * MiB,
    hidden: words.includes('hidden'),
    ...(parentUuid === undefined || unknown ? {} : { parentUuid, parentLvName: `VHD-${parentUuid}` }),
    lvReadOnly: false,
    active: false,
    open: words.includes('open'),
    old: words.includes('old'),
    ...(unknown ? { scanError: new RbdsrError('vhd-corrupt', { what: 'no header' }) } : {}),
  };
}

function journalOf(type: string, id: VdiUuid): JournalEntry {
  return { type, id, lvName: `${type}_${id}_1`, value: '1' };
}

/** A parent whose volume is full, and a child with so many MiB that it has not. */
function roomFor(addsMiB: number): ReturnType<typeof mergeRoom> {
  const childBlocks = Buffer.alloc(addsMiB / 2, 0x80);
  const parent = { kind: 'vhd', lvSizeBytes: 8 * MiB, blocks: Buffer.alloc(0), physicalSizeBytes: 4_329_472 } as const;
  const { growsByBytes } = mergeRoom({ childBlocks, parent });
  return {
    parentLvSizeBytes: 8 * MiB + growsByBytes,
    growsByBytes,
    neededBytes: growsByBytes + 8 * MiB,
    copiesBytes: addsMiB * MiB,
  };
}
