import { expect, test } from 'vitest';
import { storyText } from './operation.ts';
import { Counts } from './perform.ts';
import { randomHistory } from './run-history.ts';

// A few random histories, the same ones in every run; `npm run soak` tells as many as one likes.

const OPERATIONS = 14;
const SEEDS = [1, 2, 3];

test.each(SEEDS)('the history of seed %i', { timeout: 600_000 }, async (seed) => {
  const { story, difference } = await randomHistory(seed, OPERATIONS, { counts: new Counts() });
  const again = `npm run soak -- --seed ${seed} --story '${storyText(story)}'`;
  expect(difference, `again: ${again}`).toBeUndefined();
});
