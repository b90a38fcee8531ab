import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { runProgram } from '../system/run.ts';
import type { RunOutcome } from '../system/run.ts';
import type { HeldLock } from '../system/locks/record-lock.ts';
import { lvmConfig } from './config.ts';
import { matchFailure } from './failure-patterns.ts';

export interface LvmCommandContext {
  readonly device: string;
  readonly writable: boolean;
  readonly deadline: Deadline;
  readonly serialise: (deadline: Deadline) => Promise<HeldLock> | undefined;
  readonly systemDir?: string | undefined;
  readonly extraArgs: readonly string[];
}

const ATTEMPTS = 10;

/**
 * Runs one `lvm <command>` under the host's LVM lock and returns how it ended, whatever that is. A torn read of the
 * metadata header is retried, one second apart. 'program-missing', 'deadline' where the program never gave an answer.
 */
export async function lvmCommand(
  context: LvmCommandContext,
  command: string,
  args: readonly string[],
): Promise<RunOutcome> {
  const argv = [command, ...context.extraArgs, '--config', lvmConfig(context), ...args];
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await serialised(context, argv);
    const torn = outcome.end.kind === 'exit' && matchFailure(outcome.stderr)?.name === 'torn-metadata-read';
    if (!torn || attempt === ATTEMPTS || context.deadline.leftMs < 1000)
      return answered(outcome, command, context.device);
    await sleep(1000);
  }
}

/** What LVM said, without the warnings that every call prints. */
export function complaint(outcome: RunOutcome): string {
  const lines = outcome.stderr
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) =>
        line !== '' &&
        !/^WARNING: (?:Activation disabled|This metadata update is NOT backed up)|leaked on lvm/.test(line),
    );
  return lines.length === 0
    ? `${outcome.end.kind} ${'code' in outcome.end ? outcome.end.code : ''}`.trim()
    : lines.join(' / ');
}

async function serialised(context: LvmCommandContext, argv: readonly string[]): Promise<RunOutcome> {
  const lock = await context.serialise(context.deadline);
  try {
    return await runProgram('lvm', argv, {
      deadline: context.deadline,
      ...(context.systemDir === undefined ? {} : { env: { LVM_SYSTEM_DIR: context.systemDir } }),
    });
  } finally {
    await lock?.release();
  }
}

function answered(outcome: RunOutcome, command: string, device: string): RunOutcome {
  const facts = { program: 'lvm', command, device };
  const { end } = outcome;
  if (end.kind === 'exit') return outcome;
  if (end.kind === 'not-started') {
    throw new RbdsrError('program-missing', {
      what: `lvm cannot be started (${end.errno})`,
      todo: 'Install lvm2.',
      facts,
    });
  }
  if (end.kind === 'timeout') {
    const seconds = (outcome.durationMs / 1000).toFixed(1);
    throw new RbdsrError('deadline', {
      what: `waited ${seconds} s for lvm ${command}, which waits for ${device}`,
      todo: 'If that is an RBD image, its OSDs may not answer: `ceph -s` shows them.',
      facts,
    });
  }
  throw new RbdsrError('program-failed', { what: `lvm ${command} was killed by ${end.signal}`, facts });
}
