import { enable, type Enabled } from '../../installer/enable.ts';
import { openHost } from '../../installer/host.ts';
import { repairUntilQuiet } from '../../installer/repair-until-quiet.ts';
import type { CliCall } from '../cli-call.ts';

/** `rbdsr enable`. */
export async function enableHost(call: CliCall): Promise<number> {
  const host = openHost(call.root, call.versionLine);
  const done = await enable(host);
  if (done.resumed) call.print('An earlier run was cut short; this one has finished its work.\n');
  call.print(
    done.written.length === 0
      ? `RBDSR ${host.product} is enabled on this host; everything was as it should be.\n`
      : `RBDSR ${host.product} is enabled on this host. Written or taken away:\n${indented(done.written)}`,
  );
  tell(call, done);
  return done.problems.length === 0 ? 0 : 1;
}

/** `rbdsr repair`: what the boot unit runs. Silent where there is nothing to do. */
export async function repairHost(call: CliCall): Promise<number> {
  const done = await repairUntilQuiet(() => openHost(call.root, call.versionLine));
  if (done.written.length > 0) call.print(`RBDSR has put back:\n${indented(done.written)}`);
  tell(call, done);
  for (const failure of done.failed) call.stderr.write(`rbdsr: ${failure}\n`);
  return done.failed.length + done.problems.length === 0 ? 0 : 1;
}

function tell(call: CliCall, { replaced, attention, problems, restart }: Enabled): void {
  for (const { path = '', what } of replaced) call.print(`\n${path} ${what}: it was replaced.\n`);
  for (const { path = '', what, todo = '' } of attention) call.print(`\n${path} ${what}.\n  To do: ${todo}\n`);
  for (const problem of problems) call.stderr.write(`rbdsr: ${problem}\n`);
  if (restart.length === 0) return;
  call.print(`\nRestart the toolstack on this host now: xe-toolstack-restart\n${indented(restart)}`);
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}\n`).join('');
}
