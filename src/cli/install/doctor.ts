import { Deadline } from '../../base/deadline.ts';
import type { ClusterKeys } from '../../access/cluster-keys.ts';
import { findLeavings, type Leaving } from '../../installer/leavings/leavings.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import type { SrRecord } from '../../xapi/sr.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { sshChoice, type SshFlags } from '../ssh-options.ts';
import { renderTable } from '../table.ts';

export interface DoctorOptions extends SshFlags {
  readonly json?: true;
}

const SSH_MS = 60_000;

/**
 * `rbdsr doctor`: what forgotten SRs have left behind, and with a monitor to ask also in its cluster, and whether that
 * allows keys that this host can use. Changes nothing. 1 when there is something, or xapi or the monitor cannot be
 * asked.
 */
export async function showLeavings(call: CliCall, o: DoctorOptions): Promise<number> {
  const cluster = await askCluster(call, o);
  const { leavings, problem } = await findLeavings(call.root, cluster?.leavings);
  const keys = cluster?.keys();
  if (o.json === true) call.print(jsonText({ leavings, problem, keys }));
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
    if (keys !== undefined) call.print(`\nKeys: ${keys.says}.\n`);
    if (keys?.problem !== undefined) call.print(`\n${keys.problem}\n`);
    if (problem !== undefined) call.stderr.write(`\n${problem}\n`);
  }
  return leavings.length === 0 && problem === undefined && keys?.problem === undefined ? 0 : 1;
}

interface AskedCluster {
  readonly leavings: (srs: readonly SrRecord[]) => Promise<readonly Leaving[]>;
  /** Undefined until `leavings` was called, or where the cluster did not say. */
  readonly keys: () => ClusterKeys | undefined;
}

async function askCluster(call: CliCall, o: DoctorOptions): Promise<AskedCluster | undefined> {
  if (o.monitor === undefined && o.sshUser === undefined) return undefined;
  const choice = await sshChoice(call, o);
  const { monitorOf } = await import('../../access/monitor-login.ts');
  const { leftUsers } = await import('../../installer/leavings/left-users.ts');
  const { clusterKeys } = await import('../../access/cluster-keys.ts');
  let keys: ClusterKeys | undefined;
  return {
    keys: () => keys,
    leavings: async (srs) => {
      const deadline = Deadline.after(SSH_MS);
      await using host = await monitorOf(call.root, choice, deadline);
      keys = await clusterKeys(host, krbdAt(call.root).keys, deadline);
      return await leftUsers(host, srs, deadline);
    },
  };
}
