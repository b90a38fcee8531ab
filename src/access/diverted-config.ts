import { RbdsrError } from '../base/error.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { OWN_USER_PREFIX, poolsOfImage } from '../ceph/control/own-user.ts';
import { describeKeyTypes, refuseForbiddenKey } from '../ceph/control/cluster-key-types.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { formatMonitor, formatMonitors } from '../ceph/cluster/monitors.ts';
import type { SrWork } from '../sr/work/work.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import type { StringMap } from '../xapi/values.ts';
import { imageSpecOf, type SrConfig } from '../sr/config/sr-type.ts';
import { keepMonitors } from './change-kept.ts';
import { isDiverted } from '../sr/config/diverted.ts';
import { frozenAccess, frozenConfig } from '../sr/config/frozen-config.ts';
import { forgetAccess, keepAccess, type Kept, keptAccess, keptHostKey } from './kept-access.ts';
import { openMonitorHost, passwordOf } from './open-monitor-host.ts';
import { translate } from '../sr/config/translate.ts';
import type { CephxLogin, WizardConfig } from '../sr/config/wizard-config.ts';
import { srOf } from '../sr/work/subject.ts';

/** What the wizard's fields mean for one call. */
export class DivertedConfig implements SrConfig {
  readonly wizard: WizardConfig;
  readonly options: SrConfig['options'] = [];
  readonly #deviceConfig: StringMap;
  /** As it was when the call began. */
  #kept: Promise<Kept | undefined> | undefined;
  #host: Promise<MonitorHost> | undefined;
  #access: Promise<ClusterAccess> | undefined;
  /** A cephx user that this call has asked the cluster for. */
  #asked: string | undefined;

  constructor(deviceConfig: StringMap) {
    if (!isDiverted(deviceConfig)) throw notOurs(deviceConfig);
    this.#deviceConfig = deviceConfig;
    this.wizard = translate(deviceConfig);
  }

  get pool(): string {
    return this.wizard.pool ?? '';
  }

  get image(): string {
    return this.wizard.image ?? '';
  }

  get allocation(): 'thick' | 'thin' {
    return this.wizard.allocation;
  }

  /** What the SR keeps; else the cephx user that was typed; else one of its own, by SSH. What was found is kept. */
  access(work: SrWork): Promise<ClusterAccess> {
    this.#access ??= this.#findAccess(work);
    return this.#access;
  }

  async #findAccess(work: SrWork): Promise<ClusterAccess> {
    const frozen = frozenAccess(this.#deviceConfig);
    if (frozen !== undefined) return frozen;
    const kept = await this.#keptBefore(work);
    if (kept !== undefined) return kept.access;
    const { cephx } = this.wizard;
    if (cephx === undefined || this.wizard.ssh !== undefined) return this.#askMonitor(work);
    const typed = await this.#loginAccess(work, formatMonitors(this.wizard.monitors), cephx);
    // A step of the wizard that makes no SR leaves nothing in xapi.
    return this.wizard.step === 'chosen' ? keepAccess(work, typed, { ownUser: false }) : typed;
  }

  /** With a key that was typed; refused at once where this host could not use it. */
  async #loginAccess(work: SrWork, monitors: string, { user, key }: CephxLogin): Promise<ClusterAccess> {
    const access = clusterAccess({ monitors, user, key: await passwordOf(work, key) });
    await refuseUnusableKey(access, krbdOf(work).keys, work.deadline);
    return access;
  }

  /** Without SSH only the kernel learns of the monitors that were not typed: they are kept too. */
  async mapped(work: SrWork, { monitors }: Mapping): Promise<void> {
    const { srRef } = work.subject;
    if (srRef === undefined || this.wizard.ssh !== undefined || frozenAccess(this.#deviceConfig) !== undefined) return;
    const access = await this.access(work);
    const known = access.monitors.map(formatMonitor);
    const all = [...new Set([...monitors, ...known])];
    if (all.length > known.length) await keepMonitors(await work.xapi(), srRef, all.join(','));
  }

  /**
   * The whole monitor map, and a cephx user: the one that was typed beside the SSH user, else one for this SR and its
   * pool only.
   */
  async #askMonitor(work: SrWork): Promise<ClusterAccess> {
    const host = await this.monitorHost(work);
    work.waiting('the monitor to name all monitors of its cluster');
    const { monitors: map, keyTypes } = await host.facts(work.deadline);
    work.log.info(`SR ${srOf(work)}: ${describeKeyTypes(keyTypes)}`);
    const monitors = formatMonitors(map.flatMap(({ v1, v2 }) => v1 ?? v2 ?? []));
    const { hostKey } = host.connection;
    const { cephx } = this.wizard;
    if (cephx !== undefined) {
      const access = await this.#loginAccess(work, monitors, cephx);
      refuseForbiddenKey(access, keyTypes);
      return keepAccess(work, access, { ownUser: false, hostKey: hostKey.line });
    }
    const name = `${OWN_USER_PREFIX}${srOf(work)}`;
    const pools = await poolsOfImage(host, imageSpecOf(this), work.deadline);
    work.waiting(`the monitor to make the cephx user client.${name}`);
    this.#asked = name;
    const use = { keys: krbdOf(work).keys, types: keyTypes };
    const { user, key } = await host.ensureUser(pools, name, work.deadline, use);
    work.log.info(`SR ${srOf(work)} uses the cephx user client.${user}, which may use ${pools.join(' and ')} only`);
    return keepAccess(work, clusterAccess({ monitors, user, key }), { ownUser: true, hostKey: hostKey.line });
  }

  monitorHost(work: SrWork): Promise<MonitorHost> {
    this.#host ??= keptHostKey(work).then((pinned) => openMonitorHost(work, this.wizard, pinned));
    return this.#host;
  }

  #keptBefore(work: SrWork): Promise<Kept | undefined> {
    this.#kept ??= keptAccess(work);
    return this.#kept;
  }

  /** Over SSH; a cephx user that was typed in its place has what tools the host has. */
  async controlPlane(work: SrWork): Promise<ControlPlane> {
    if (this.wizard.ssh !== undefined || this.wizard.cephx === undefined) return this.monitorHost(work);
    const { controlPlaneOf } = await import('../ceph/control/tools/ceph-tools.ts');
    return controlPlaneOf(await this.access(work));
  }

  async abandon(work: SrWork): Promise<void> {
    const users = this.#asked === undefined ? [] : [this.#asked];
    // What xapi keeps and what the cluster keeps: neither has to wait for the other to succeed.
    const [forgotten] = await Promise.allSettled([forgetAccess(work)]);
    await this.#removeUsers(work, users);
    if (forgotten.status === 'rejected') throw forgotten.reason;
  }

  /** The cephx users made for it go with the SR; where that cannot be, the log names them. */
  async retire(work: SrWork): Promise<void> {
    const kept = await this.#keptBefore(work);
    await this.#removeUsers(work, [...(kept?.formerUsers ?? []), ...(kept?.ownUser === true ? [kept.user] : [])]);
  }

  async #removeUsers(work: SrWork, users: readonly string[]): Promise<void> {
    const failures: unknown[] = [];
    for (const user of users) {
      try {
        await (await this.monitorHost(work)).removeUser(user, work.deadline);
      } catch (error) {
        work.log.warn(`the cephx user client.${user} is left: on a monitor, ceph auth rm client.${user}`);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  frozen(keyring: string, access: ClusterAccess): StringMap {
    return frozenConfig(this.#deviceConfig, keyring, access);
  }
}

/** The dispatcher lets through what may be ours; this is for a port that only looked like it. */
function notOurs(deviceConfig: StringMap): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: "device-config port is not a Ceph monitor's",
    expected: "6789, which makes an iSCSI SR one of RBDSR's",
    found: JSON.stringify((deviceConfig['port'] ?? '').slice(0, 40)),
  });
}
