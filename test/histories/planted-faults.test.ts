import { expect, test } from 'vitest';
import { Deadline } from '../../src/base/deadline.ts';
import { parseStory, storyText } from './operation.ts';
import { Counts } from './perform.ts';
import { CLONE_HAS_WRONG_PARENT, MERGE_LOSES_A_BLOCK, RESIZE_FORGETS_DISK } from './planted-faults.ts';
import { type Plant, toldHistory } from './run-history.ts';
import { shrink } from './shrink.ts';

// A test of the test: faults are put into the product, and histories find them.

/** The SR is thick. */
const SEED = 2;
const PATIENT = { timeout: 600_000 };

async function differenceOf(text: string, plant: Plant): Promise<string | undefined> {
  const told = await toldHistory(SEED, parseStory(text), { counts: new Counts(), plant, endsWell: false });
  return told.difference;
}

const WRITTEN_TWICE = `
  create disk=a mib=2
  attach disk=a host=1
  write disk=a at=10 sectors=9 seed=1
  snapshot disk=b of=a
  write disk=a at=12 sectors=2 seed=2
  snapshot disk=c of=a
`;

test('a merge that loses a block', PATIENT, async () => {
  const story = `${WRITTEN_TWICE}; delete disk=b; collect`;
  expect(await differenceOf(story, MERGE_LOSES_A_BLOCK)).toMatch(/^disk [ac]: at byte 6144 /);
});

test('a clone that hangs on a wrong parent', PATIENT, async () => {
  const story = `${WRITTEN_TWICE}; clone disk=d of=c`;
  expect(await differenceOf(story, CLONE_HAS_WRONG_PARENT)).toMatch(/^disk d: at byte 6144 /);
});

test('a disk that does not grow: the story is made short', PATIENT, async () => {
  const story = 'create disk=a mib=4; create disk=b mib=2; scan; delete disk=b; resize disk=a mib=8';
  const goesWrong = async (shorter: Parameters<typeof storyText>[0]): Promise<boolean> =>
    (await differenceOf(storyText(shorter), RESIZE_FORGETS_DISK)) !== undefined;
  const short = await shrink(parseStory(story), goesWrong, Deadline.after(PATIENT.timeout));
  expect(storyText(short)).toBe('create disk=a mib=2; resize disk=a mib=8');
});
