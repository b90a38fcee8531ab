import { lstatSync } from 'node:fs';
import { Deadline } from '../base/deadline.ts';
import { hasCode } from '../base/error.ts';
import { readIfExists } from '../system/files.ts';
import { succeeded } from '../system/run.ts';
import { isStruct } from '../xmlrpc/value.ts';
import { CHANGES } from './change-list.ts';
import { SYSTEMCTL, WATCH_UNIT } from './changes/systemd-units.ts';
import { DRIVER_ENTRY } from './changes/driver-entry.ts';
import { checkEach } from './check-each.ts';
import { withLocalXapi } from '../access/driver-srs.ts';
import type { Finding } from './changing/finding.ts';
import { type Host, STATE_DIR } from './host.ts';
import { type HostProcess, processCalled, processesCalled } from './host-processes.ts';
import { isNewer } from './state/newer-state.ts';
import { lostEntries } from './changing/lost-entries.ts';
import { SM_PLUGINS_FILE } from './sm-plugins.ts';

const WATCH_MS = 10_000;

/** Every part of the installation as it is now, one finding or more each, in the order in which enable makes them. */
export async function checkHost(host: Host): Promise<readonly Finding[]> {
  const proofs: Finding[] = [];
  for (const change of CHANGES) proofs.push(...(await change.prove(host)));
  return [
    ...journalFinding(host),
    ...settingsFindings(host),
    ...checkEach(host),
    ...proofs,
    ...(await watchFinding(host)),
    ...(await xapiFinding(host)),
  ];
}

/** "XenServer 8.3 (8.3b)": what the host was taken for. */
export function titleOf(host: Host): string {
  return `${host.profile.title} (${host.inventory.productVersion.join('.')})`;
}

/** The driver refuses every command but sr_get_driver_info until such a line is mended. */
function settingsFindings({ oddSettings }: Host): readonly Finding[] {
  const todo = 'correct the line, or take it out; SM commands are refused until then';
  return oddSettings.map(({ message }) => ({ part: 'settings', state: 'attention', what: message, todo }));
}

function journalFinding(host: Host): readonly Finding[] {
  const part = 'state';
  const content = host.journal.content;
  if (content === undefined) {
    const { entries } = lostEntries(host);
    if (entries.length === 0)
      return [{ part, state: 'missing', what: 'RBDSR is not enabled here', todo: 'rbdsr enable' }];
    const what = 'RBDSR was enabled here, but the record of it was lost';
    return [{ part, path: STATE_DIR, state: 'missing', what, todo: 'rbdsr enable; or rbdsr disable, to take it back' }];
  }
  if (content.state !== 'enabled') {
    const verb = content.state === 'enabling' ? 'enable' : 'disable';
    return [{ part, state: 'changed', what: `rbdsr ${verb} was cut short`, todo: `rbdsr ${verb}` }];
  }
  if (content.product !== host.product) {
    const what = `was enabled by version ${content.product}, this is ${host.product}`;
    const todo = isNewer(content.product, host.product) ? `install ${content.product} or later` : 'rbdsr enable';
    return [{ part, state: 'changed', what, todo }];
  }
  return [{ part, state: 'ok', what: `enabled by version ${content.product}` }];
}

/** Its file may be there, enabled, and nothing run: somebody has stopped it, or it failed. */
async function watchFinding(host: Host): Promise<readonly Finding[]> {
  if (host.journal.content === undefined || host.version.services !== 'systemd') return [];
  const asked = await host.run(SYSTEMCTL, ['is-active', WATCH_UNIT], Deadline.after(WATCH_MS));
  if (asked === undefined || succeeded(asked)) return [];
  const found = asked.stdout.trim() === '' ? 'systemctl does not say' : asked.stdout.trim();
  const what = `${WATCH_UNIT} does not run (${found}): a host update is noticed at the next boot only`;
  return [{ part: 'services', state: 'changed', what, todo: `systemctl start ${WATCH_UNIT}` }];
}

/**
 * Whether this host's xapi has been restarted since: it looks for drivers, and reads its configuration, only when it
 * starts. The SM records are the whole pool's (xen-api, `xapi_sm.ml`): one of type rbd may be another host's doing, but
 * without one no host knows it.
 */
async function xapiFinding(host: Host): Promise<readonly Finding[]> {
  if (host.journal.content === undefined) return [];
  const part = 'xapi';
  const todo = 'xe-toolstack-restart';
  const running = runningXapi(host);
  const unread = running === undefined ? undefined : changedSince(host, running);
  if (unread !== undefined) {
    return [
      {
        part,
        path: unread,
        state: 'changed',
        what: 'is newer than the xapi that runs, which reads it only at its start',
        todo,
      },
    ];
  }
  try {
    if (!(await poolKnowsRbd(host))) return [{ part, state: 'changed', what: 'does not know SR type rbd yet', todo }];
    if (running !== undefined) return [{ part, state: 'ok', what: 'knows SR type rbd' }];
    return [{ part, state: 'ok', what: 'knows SR type rbd, on one host of the pool at least' }];
  } catch (error) {
    if (!hasCode(error, 'xapi-unreachable', 'xapi-failure', 'deadline')) throw error;
    if (running === undefined)
      return [{ part, state: 'not-needed', what: 'does not run; it looks for drivers when it starts' }];
    return [{ part, state: 'ok', what: 'was started since; whether it knows SR type rbd it does not say' }];
  }
}

/**
 * By the number that xapi has written down, where that is still xapi; else the oldest, as the younger ones are its
 * children.
 */
function runningXapi(host: Host): HostProcess | undefined {
  const pid = Number(readIfExists(host.at('/var/run/xapi.pid'))?.trim());
  return (Number.isInteger(pid) ? processCalled(host, 'xapi', pid) : undefined) ?? processesCalled(host, 'xapi')[0];
}

function changedSince(host: Host, { startedAt }: HostProcess): string | undefined {
  return [DRIVER_ENTRY, SM_PLUGINS_FILE].find((path) => {
    const changedAt = lstatSync(host.at(path), { throwIfNoEntry: false })?.ctimeMs;
    return changedAt !== undefined && changedAt > startedAt + CLOCK_TICKS_MS;
  });
}

/** What the start of a process may be off by. */
const CLOCK_TICKS_MS = 20;

function poolKnowsRbd(host: Host): Promise<boolean> {
  return withLocalXapi(host.root, async (xapi) => {
    const records = await xapi.call('SM.get_all_records');
    return isStruct(records) && Object.values(records).some((sm) => isStruct(sm) && sm['type'] === 'rbd');
  });
}
