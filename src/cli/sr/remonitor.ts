import { RbdsrError } from '../../base/error.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { monitorOfSr } from '../../access/monitor-login.ts';
import { replaceHostKey } from '../../access/change/new-host-key.ts';
import { findMonitors, setMonitors } from '../../access/change/new-monitors.ts';
import { type PoolSr, withPoolSr } from '../../access/pool-sr.ts';
import type { CliCall } from '../cli-call.ts';
import { sshChoice, type SshFlags } from '../ssh-options.ts';

export interface RemonitorOptions extends SshFlags {
  readonly target?: true;
  readonly forgetHostKey?: true;
}

const COMMAND_MS = 120_000;

/**
 * `rbdsr remonitor`: the monitors by which every later plug finds the cluster, or the SSH host key. Runs on any host of
 * the pool, and again (docs/recovery.md).
 */
export async function remonitor(
  call: CliCall,
  uuid: string,
  addresses: string | undefined,
  o: RemonitorOptions,
): Promise<number> {
  const choice = await sshChoice(call, o);
  return withPoolSr(call.root, uuid, COMMAND_MS, async (xapi, sr, deadline) => {
    const openHost = (): Promise<MonitorHost> => monitorOfSr(call.root, xapi, sr, choice, deadline);
    if (sr.kind === 'rbd' && (o.target === true || o.forgetHostKey === true)) throw noSsh(uuid);
    if (o.forgetHostKey === true) {
      const { state, before, shown } = await replaceHostKey(xapi, sr, openHost, deadline);
      call.print(`kept:  ${before ?? 'none'}\nshown: ${shown}\n`);
      call.print(`${VERDICTS[state](uuid, shown)}\n`);
      return state === 'refused' ? 1 : 0;
    }
    const isHostNamed = choice.monitor !== undefined || choice.user !== undefined;
    const search = { ...(addresses === undefined ? {} : { given: addresses }), openHost, isHostNamed };
    const found = await findMonitors(call.root, xapi, sr, search, deadline);
    await setMonitors(xapi, sr, found.monitors, o.target === true);
    call.print(`${report(sr, found.monitors)}${found.cluster === 'not' ? UNSURE : ''}`);
    return 0;
  });
}

const VERDICTS = {
  same: () => 'The monitor shows the key that the SR keeps: nothing was changed.',
  kept: () => 'The SR keeps the key that was shown from now on.',
  refused: (sr: string, shown: string) =>
    `Nothing was changed, and no password was sent. Compare with \`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\` on the monitor's own console; if it agrees:
  rbdsr remonitor ${sr} --forget-host-key --host-key ${shown}
and the same --monitor, --ssh-user and --password-stdin as now.`,
} as const;

const UNSURE =
  "Which cluster they are of could not be asked: nobody on this host can as the SR's user, and nobody was named with --monitor. A plug by the wrong ones is refused.\n";

function report({ sr, pbds, kept, kind }: PoolSr, monitors: string): string {
  const before = kind === 'rbd' ? pbds[0]?.deviceConfig['monitors'] : kept?.monitors;
  const plugged = pbds.filter(({ currentlyAttached }) => currentlyAttached).length;
  return [
    `SR ${sr.uuid}\n  before: ${before ?? 'none'}\n  now:    ${monitors}\n`,
    plugged === 0
      ? ''
      : `${plugged} host(s) have it plugged: their kernels follow the cluster's own list of monitors, and use this one at the next plug.\n`,
    'Where HA has its state file on this SR, disable HA and enable it again: its document on each host names the monitors.\n',
  ].join('');
}

function noSsh(sr: string): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: `SR ${sr} is of type rbd, which keeps nothing for SSH`,
    expected: 'neither --target nor --forget-host-key',
  });
}
