import { execFileSync, spawnSync } from 'node:child_process';
import { Deadline } from '../../../src/base/deadline.ts';
import { messageOf, RbdsrError } from '../../../src/base/error.ts';
import { Lvm } from '../../../src/lvm/lvm.ts';

/**
 * Verbs of `Lvm` among stand-ins, which the commands of `mounts` put over what the machine has, for this process alone.
 * Prints, as JSON, for each verb "done", what it answered, or the code of its error.
 */
export interface StandInOrder {
  readonly mounts: readonly (readonly string[])[];
  readonly vg: string;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly device: string;
  readonly writable: boolean;
  readonly verb: readonly [name: keyof Lvm, ...args: readonly unknown[]];
}

const [, program = '', text = ''] = process.argv;
if (process.env['RBDSR_OWN_MOUNTS'] === undefined) {
  const env = { ...process.env, RBDSR_OWN_MOUNTS: '1' };
  process.exitCode =
    spawnSync('unshare', ['-m', process.execPath, program, text], { stdio: 'inherit', env }).status ?? 1;
} else {
  await carryOut(JSON.parse(text) as StandInOrder);
}

async function carryOut({ mounts, vg, steps }: StandInOrder): Promise<void> {
  for (const [program = '', ...args] of mounts) execFileSync(program, args);
  const results: unknown[] = [];
  for (const step of steps) results.push(await resultOf(vg, step));
  process.stdout.write(JSON.stringify(results));
}

async function resultOf(vg: string, { device, writable, verb: [name, ...args] }: Step): Promise<unknown> {
  const lvm = new Lvm({
    device,
    vg,
    writable,
    serialise: () => undefined,
    extraArgs: ['--driverloaded', 'n'],
    deadline: Deadline.after(60_000),
  });
  try {
    const verb = lvm[name] as (...all: readonly unknown[]) => Promise<unknown>;
    return (await verb.apply(lvm, args)) ?? (name === 'report' ? 'none' : 'done');
  } catch (error) {
    return error instanceof RbdsrError ? error.code : messageOf(error);
  }
}
