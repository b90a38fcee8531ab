import { Deadline } from '../base/deadline.ts';
import { findLeavings, type Leaving } from '../host/leavings.ts';
import type { SrRecord } from '../xapi/sr.ts';
import type { CliCall } from './cli-call.ts';
import { sshChoice, type SshOptions } from './ssh-options.ts';
import { renderTable } from './table.ts';

export interface DoctorOptions extends SshOptions {
  readonly json?: true;
}

const SSH_MS = 60_000;

/**
 * `rbdsr doctor`: what forgotten SRs have left behind, and with a monitor to ask also in its cluster. Changes nothing. 1 when there is something, or xapi or
 * the monitor cannot be asked.
 */
export async function showLeavings(call: CliCall, o: DoctorOptions): Promise<number> {
  const { leavings, problem } = await findLeavings(call.root, await askCluster(call, o));
  if (o.json === true) call.print(`${JSON.stringify({ leavings, problem }, undefined, 2)}\n`);
  else {
    call.print(
      leavings.length === 0
        ? 'Nothing was left behind.\n'
        : renderTable(
            ['what', 'name', 'to take it away'],
            leavings.map(({ kind, name, todo }) => [kind, name, todo]),
          ),
    );
    for (const { name, why } of leavings) call.print(`\n${name}: ${why}\n`);
    if (problem !== undefined) call.stderr.write(`\n${problem}\n`);
  }
  return leavings.length === 0 && problem === undefined ? 0 : 1;
}

async function askCluster(
  call: CliCall,
  o: DoctorOptions,
): Promise<((srs: readonly SrRecord[]) => Promise<readonly Leaving[]>) | undefined> {
  if (o.monitor === undefined && o.sshUser === undefined) return undefined;
  const choice = await sshChoice(call, o);
  const { monitorOf } = await import('../host/monitor-login.ts');
  const { leftUsers } = await import('../host/left-users.ts');
  return async (srs) => {
    const deadline = Deadline.after(SSH_MS);
    await using host = await monitorOf(call.root, choice, deadline);
    return await leftUsers(host, srs, deadline);
  };
}
