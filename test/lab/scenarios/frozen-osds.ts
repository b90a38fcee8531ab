import { expect } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import type { Pool } from '../../../lab/pool.ts';
import type { Host } from '../../../lab/hosts/host.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { send } from '../../../lab/xapi-double/driver.ts';
import { XapiError } from '../../../lab/xapi-double/xapi-error.ts';
import { stockHookProgram } from '../../support/stock-locks.ts';
import { setSettings } from '../scenario.ts';

/**
 * What rbdsr.conf of the hosts says while OSDs are frozen, seconds: enough for a command that is answered, on a busy
 * machine.
 */
export const DEADLINE_SECONDS = 15;
/** Between the deadline and xapi's answer: the start of the worker, on a busy machine. Seconds. */
const SLACK_SECONDS = 15;

/**
 * Runs `work` with OSDs that do not answer; they answer again afterwards, and every worker that waited for them has
 * ended.
 */
export function withFrozenOsds(pool: Pool, work: () => Promise<void>): Promise<void> {
  return withDeadline(pool, async () => {
    await pool.cluster.freezeOsds();
    await work();
  });
}

/** The same for work that freezes the OSDs half-way. */
export async function withDeadline(pool: Pool, work: () => Promise<void>): Promise<void> {
  await setSettings(pool, `deadline = ${DEADLINE_SECONDS}\n`);
  const [outcome] = await Promise.allSettled([work()]);
  pool.cluster.thawOsds();
  await setSettings(pool);
  const ends = await Promise.allSettled(pool.running.map((host) => workersEnd(host)));
  for (const result of [outcome, ...ends]) if (result.status === 'rejected') throw result.reason;
}

/** Every worker ends once its cluster answers, and with it go its locks and its private folder. */
async function workersEnd(host: Host): Promise<void> {
  await host.shell(
    `n=0; while pgrep '^rbdsr sm' >/dev/null; do [ $n -lt 240 ] || { ps ax >&2; exit 1; }; sleep 1; n=$((n+1)); done
     ls -d /run/rbdsr/calls/* >&2 2>/dev/null && exit 1 || exit 0`,
    { timeoutMs: 300_000 },
  );
}

/** Until a worker of the host says that this is what it waits for: the moment to take it away. */
export async function waitsFor(pool: Pool, what: string, host = 0): Promise<void> {
  await pool.host(host).shell(`until grep -qs '${what}' /run/rbdsr/calls/*/late; do sleep 0.05; done`);
}

/** What a call failed with; it came by the deadline. */
export async function failsInTime(call: Promise<unknown>): Promise<string> {
  const message = await endsInTime(call);
  if (message === undefined) throw new Error('the call should have failed, and succeeded');
  return message;
}

/** The same for a call that may succeed: then undefined. */
export async function endsInTime(call: Promise<unknown>): Promise<string | undefined> {
  const started = performance.now();
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error !== undefined && !(error instanceof XapiError)) throw error;
  expect((performance.now() - started) / 1000, error?.message).toBeLessThan(DEADLINE_SECONDS + SLACK_SECONDS);
  return error?.message;
}

/**
 * Nothing that xapi waits for is left on the host: no launcher, no timer of one. One that has answered ends a moment
 * later.
 */
export async function noLauncherIsLeft(pool: Pool, host = 0): Promise<void> {
  const launchers = async () => (await pool.host(host).exec(['pgrep', '-af', `^/bin/sh ${DRIVER}`])).stdout;
  await expect.poll(launchers, { timeout: 5000, interval: 200 }).toBe('');
}

/**
 * A worker of the host really is stuck in the kernel, and yet stock's hook for a dead host, which HA waits for, gets
 * every lock it wants within a second.
 */
export async function haIsNotHeldUp(pool: Pool, srs: readonly string[], host = 0): Promise<void> {
  const stuck = `for worker in $(pgrep '^rbdsr sm'); do cat /proc/$worker/task/*/status /proc/$worker/task/*/children; done`;
  const states = await pool.host(host).shell(
    `${stuck} | tr ' ' '\\n' | grep -E '^[0-9]+$' | sed 's|.*|/proc/&/status|' | xargs -r cat 2>/dev/null | grep '^State'
     ${stuck} | grep '^State'`,
  );
  expect(states).toContain('D (disk sleep)');
  for (const sr of srs) {
    const { argv, prints } = stockHookProgram(sr, 1000);
    const { stdout } = await pool.host(host).exec(argv);
    expect(stdout).toBe(prints);
  }
}

/**
 * LVM as on XenServer and XCP-ng up to 8.3 (2.02), which takes no RBD device for one of its own; that of Debian does.
 */
const LVM_2_02 = `--config 'devices{global_filter=["r|^/dev/rbd|"]}'`;

/** A volume group of another driver, on another device. */
export async function makeOtherVg(pool: Pool, host = 0): Promise<void> {
  await pool.host(host).shell(
    `truncate -s 64M /run/other.img
     vgcreate -q ${LVM_2_02} other $(losetup -f --show /run/other.img)`,
  );
}

export async function removeOtherVg(pool: Pool, host = 0): Promise<void> {
  await pool.host(host).shell(
    `vgremove -qqf ${LVM_2_02} other
     losetup -d $(losetup -n -O NAME -j /run/other.img)
     rm /run/other.img`,
  );
}

/** Work of that driver, and a call of ours that needs no cluster. */
export async function otherWorkGoesOn(pool: Pool, host = 0): Promise<void> {
  const names = await pool.host(host).shell(
    `lvcreate -q ${LVM_2_02} -n disk -L 8M other >&2
     lvs ${LVM_2_02} --noheadings -o lv_name other`,
    { timeoutMs: 300_000 },
  );
  expect(names.trim()).toBe('disk');
  const { code, stdout } = await send(pool.double, pool.hostRef(host), DRIVER, 'sr_get_driver_info', {});
  expect(code).toBe(0);
  expect(stdout).toContain('SR_PROBE');
}

/** Names of the SR's disks as xapi has them, in order. */
export function diskNames(pool: Pool, srRef: string): string[] {
  return pool.double.db
    .where('VDI', 'SR', srRef)
    .map((vdi) => stringOf(vdi, 'name_label'))
    .sort();
}
