import { Deadline } from '../../base/deadline.ts';
import { messageOf, RbdsrError } from '../../base/error.ts';
import { answerApart } from '../../system/process-apart.ts';
import type { Disks, ReadProblem } from '../disks.ts';
import { disksOf, type SrToRead } from './disks-of.ts';
import { problemOf } from './read-disks.ts';

/** Of the deadline, for the process apart to start and to say what it has. */
const ANSWER_MS = 2000;
/** Enough for many disks at a time, and so that a few that do not answer do not keep the others. */
const THREADS = '16';

/** The rest is for what has come by then: a few blocks that nobody serves cost their own disks. */
const READING_SHARE = 0.8;

type Answer = { readonly disks: Disks } | { readonly problem: ReadProblem };

/**
 * The disks by a process of its own, `reader` with what it is to read: one that waits in the kernel for a dead cluster
 * cannot end, and the command has to. Throws what went wrong there; 'deadline'.
 */
export async function readDisksApart(reader: readonly string[], what: SrToRead, deadline: Deadline): Promise<Disks> {
  const milliseconds = String(Math.max(0, Math.round(deadline.leftMs - ANSWER_MS)));
  const argv = [...reader, JSON.stringify(what), milliseconds];
  const env = { ...process.env, UV_THREADPOOL_SIZE: THREADS };
  const answer = JSON.parse(await line(argv, deadline, env)) as Answer;
  if ('disks' in answer) return answer.disks;
  throw new RbdsrError(answer.problem.code, { what: answer.problem.message });
}

async function line(argv: readonly string[], deadline: Deadline, env: NodeJS.ProcessEnv): Promise<string> {
  try {
    return await answerApart(argv, 'the process that reads the disks', deadline, env);
  } catch (error) {
    if (error instanceof RbdsrError) throw error;
    throw new RbdsrError('program-failed', { what: messageOf(error), cause: error });
  }
}

/** What that process prints, a line. */
export async function disksAsLine(root: string, what: string, milliseconds: string): Promise<string> {
  const ms = Number(milliseconds);
  const deadline = Deadline.after(ms);
  const reading = disksOf(root, JSON.parse(what) as SrToRead, deadline.within(ms * READING_SHARE));
  let answer: Answer;
  try {
    answer = { disks: await deadline.race(reading, 'the cluster to answer') };
  } catch (error) {
    answer = { problem: problemOf(error) };
  }
  return `${JSON.stringify(answer)}\n`;
}
