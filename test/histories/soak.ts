import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Deadline } from '../../src/base/deadline.ts';
import { SHARED_PRODUCT } from '../support/built-product.ts';
import { KILL_POINTS } from './next-operation.ts';
import { type Operation, parseStory, storyText } from './operation.ts';
import { Counts } from './perform.ts';
import { type Outcome, randomHistory, toldHistory } from './run-history.ts';
import { shrink } from './shrink.ts';

// `npm run soak -- [--minutes N] [--seed S] [--operations N]`: one random history after the other, each with the next
// seed, until the time is over or one of them goes wrong; that one is made short. With `--all` it goes on with the next
// one instead. `--story TEXT --seed S` tells one story again. Ends with 1 where something went wrong.

const MINUTE_MS = 60_000;
const LINE_EACH_MS = MINUTE_MS;
const SHRINK_MINUTES = 20;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    operations: { type: 'string', default: '40' },
    story: { type: 'string' },
    all: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const firstSeed = numberOf('seed', values.seed ?? String(Math.floor(Date.now() / 1000) % 1_000_000));
const operations = numberOf('operations', values.operations);
const until = Deadline.after(numberOf('minutes', values.minutes) * MINUTE_MS);
const counts = new Counts();
const started = performance.now();
let histories = 0;
const interruption = new AbortController();
let said = started;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());

// One product for all of them.
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-soak-'));
process.env[SHARED_PRODUCT] ??= join(folder, 'product');
try {
  process.exitCode = (await (values.story === undefined ? soak() : tellAgain(parseStory(values.story)))) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Whether all went well. */
async function soak(): Promise<boolean> {
  say(`Histories of ${operations} operations, from seed ${firstSeed} on.`);
  let wrong = 0;
  const { signal } = interruption;
  const isInterrupted = (): boolean => signal.aborted;
  for (let seed = firstSeed; !until.expired && !signal.aborted; seed += 1) {
    const tells = (line: string): void => follow(seed, line);
    const outcome = await randomHistory(seed, operations, { counts, tells, isInterrupted }).catch(orInterrupted);
    // Of one that is interrupted nobody knows: on a terminal its drivers were, too.
    if (signal.aborted) break;
    histories += 1;
    if (outcome.difference === undefined) continue;
    wrong += 1;
    explain(seed, outcome);
    if (values.all) continue;
    await makeShort(seed, outcome);
    break;
  }
  say(`${figures()}; ${wrong === 0 ? 'all went well' : `${wrong} went wrong`}`);
  return wrong === 0;
}

function orInterrupted(error: unknown): Outcome {
  if (interruption.signal.aborted) return { story: [] };
  throw error;
}

async function tellAgain(story: readonly Operation[]): Promise<boolean> {
  const { difference } = await toldHistory(firstSeed, story, { counts, tells: say });
  say(difference ?? 'All is well.');
  return difference === undefined;
}

function explain(seed: number, { story, difference = '' }: Outcome): void {
  say(`\nThe history of seed ${seed} has gone wrong after ${story.length} operations:\n${difference}\n`);
  say(`Again: npm run soak -- --seed ${seed} --story '${storyText(story)}'\n`);
}

async function makeShort(seed: number, { story, difference = '', isAtEnd = true }: Outcome): Promise<void> {
  let last = difference;
  const goesWrong = async (shorter: readonly Operation[]): Promise<boolean> => {
    const outcome = await toldHistory(seed, shorter, { counts: new Counts(), endsWell: isAtEnd });
    say(`  ${shorter.length} operations: ${outcome.difference === undefined ? 'well' : 'wrong, too'}`);
    last = outcome.difference ?? last;
    return outcome.difference !== undefined;
  };
  say('It is made shorter:');
  const short = await shrink(story, goesWrong, Deadline.after(SHRINK_MINUTES * MINUTE_MS));
  say(`\n${storyText(short, '\n')}\n\n${last}\n`);
  say(`Again: npm run soak -- --seed ${seed} --story '${storyText(short)}'`);
}

/** A live line on a terminal; in a log a line every so often. */
function follow(seed: number, line: string): void {
  if (values.verbose) return say(`${seed}: ${line}`);
  if (process.stdout.isTTY) {
    process.stdout.write(`\r\u001B[K${figures()}; seed ${seed}: ${line}`);
    return;
  }
  if (performance.now() - said < LINE_EACH_MS) return;
  said = performance.now();
  say(`${figures()}; at seed ${seed}`);
}

function figures(): string {
  const minutes = ((performance.now() - started) / MINUTE_MS).toFixed(1);
  const points = `${counts.killedAt.size} of ${KILL_POINTS.size} fault points`;
  return `${minutes} min: ${histories} histories, ${counts.operations} operations, ${counts.kills} kills at ${points}, ${counts.compared} disks compared`;
}

function say(line: string): void {
  process.stdout.write(`${process.stdout.isTTY ? '\r\u001B[K' : ''}${line}\n`);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  throw new Error(`--${name} takes a number, not ${text}`);
}
