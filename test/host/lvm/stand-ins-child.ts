import { execFileSync, spawnSync } from 'node:child_process';
import { Deadline } from '../../../src/base/deadline.ts';
import { messageOf, RbdsrError } from '../../../src/base/error.ts';
import { Lvm } from '../../../src/lvm/lvm.ts';

/**
 * One verb of `Lvm` among stand-ins: files and folders that are mounted over those of the machine, for this process alone. Prints "done" or
 * the code of the error.
 */
export interface StandInOrder {
  readonly binds: readonly (readonly [from: string, to: string])[];
  readonly device: string;
  readonly vg: string;
  readonly verb: 'growLv' | 'shrinkLv' | 'deactivate';
  readonly name: string;
  readonly bytes: number;
}

const [, program = '', text = ''] = process.argv;
if (process.env['RBDSR_OWN_MOUNTS'] === undefined) {
  const env = { ...process.env, RBDSR_OWN_MOUNTS: '1' };
  process.exitCode =
    spawnSync('unshare', ['-m', process.execPath, program, text], { stdio: 'inherit', env }).status ?? 1;
} else {
  await carryOut(JSON.parse(text) as StandInOrder);
}

async function carryOut({ binds, device, vg, verb, name, bytes }: StandInOrder): Promise<void> {
  for (const [from, to] of binds) execFileSync('mount', ['--bind', from, to]);
  const lvm = new Lvm({
    device,
    vg,
    writable: true,
    serialise: () => undefined,
    extraArgs: ['--driverloaded', 'n'],
    deadline: Deadline.after(20_000),
  });
  try {
    await lvm[verb](name, bytes);
    process.stdout.write('done');
  } catch (error) {
    process.stdout.write(error instanceof RbdsrError ? error.code : messageOf(error));
  }
}
