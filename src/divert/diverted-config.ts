import { RbdsrError } from '../base/error.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { OWN_USER_PREFIX, poolsOfImage } from '../ceph/control/own-user.ts';
import { describeKeyTypes, refuseForbiddenKey } from '../ceph/control/cluster-key-types.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { formatMonitor, formatMonitors } from '../ceph/cluster/monitors.ts';
import { srOf } from '../sm/attached-sr.ts';
import type { SmCall } from '../sm/handler.ts';
import { krbdOf } from '../sm/krbd-of-host.ts';
import type { StringRecord } from '../sm/request.ts';
import { imageSpecOf, type SrConfig } from '../sm/sr-type.ts';
import { keepMonitors } from './change-kept.ts';
import { isOurs } from './decide.ts';
import { frozenAccess, frozenConfig } from './frozen-config.ts';
import { forgetAccess, keepAccess, type Kept, keptAccess, keptHostKey } from './kept-access.ts';
import { openMonitorHost, passwordOf } from './open-monitor-host.ts';
import { translate } from './translate.ts';
import type { CephxLogin, WizardConfig } from './wizard-config.ts';

/** What the wizard's fields mean for one call. */
export class DivertedConfig implements SrConfig {
  readonly wizard: WizardConfig;
  readonly options: SrConfig['options'] = [];
  readonly #deviceConfig: StringRecord;
  /** As it was when the call began. */
  #kept: Promise<Kept | undefined> | undefined;
  #host: Promise<MonitorHost> | undefined;
  #access: Promise<ClusterAccess> | undefined;
  /** A cephx user that this call has asked the cluster for. */
  #asked: string | undefined;

  constructor(deviceConfig: StringRecord) {
    if (!isOurs({ deviceConfig })) throw notOurs(deviceConfig);
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
  access(call: SmCall): Promise<ClusterAccess> {
    this.#access ??= this.#findAccess(call);
    return this.#access;
  }

  async #findAccess(call: SmCall): Promise<ClusterAccess> {
    const frozen = frozenAccess(this.#deviceConfig);
    if (frozen !== undefined) return frozen;
    const kept = await this.#keptBefore(call);
    if (kept !== undefined) return kept.access;
    const { cephx } = this.wizard;
    if (cephx === undefined || this.wizard.ssh !== undefined) return this.#askMonitor(call);
    const typed = await this.#loginAccess(call, formatMonitors(this.wizard.monitors), cephx);
    // A step of the wizard that makes no SR leaves nothing in xapi.
    return this.wizard.step === 'chosen' ? keepAccess(call, typed, { ownUser: false }) : typed;
  }

  /** With a key that was typed; refused at once where this host could not use it. */
  async #loginAccess(call: SmCall, monitors: string, { user, key }: CephxLogin): Promise<ClusterAccess> {
    const access = clusterAccess({ monitors, user, key: await passwordOf(call, key) });
    await refuseUnusableKey(access, krbdOf(call).keys, call.deadline);
    return access;
  }

  /** Without SSH only the kernel learns of the monitors that were not typed: they are kept too. */
  async mapped(call: SmCall, { monitors }: Mapping): Promise<void> {
    const { srRef } = call.request;
    if (srRef === undefined || this.wizard.ssh !== undefined || frozenAccess(this.#deviceConfig) !== undefined) return;
    const access = await this.access(call);
    const known = access.monitors.map(formatMonitor);
    const all = [...new Set([...monitors, ...known])];
    if (all.length > known.length) await keepMonitors(await call.xapi(), srRef, all.join(','));
  }

  /** The whole monitor map, and a cephx user: the one that was typed beside the SSH user, else one for this SR and its pool only. */
  async #askMonitor(call: SmCall): Promise<ClusterAccess> {
    const host = await this.monitorHost(call);
    call.waiting('the monitor to name all monitors of its cluster');
    const { monitors: map, keyTypes } = await host.facts(call.deadline);
    call.log.info(`SR ${srOf(call)}: ${describeKeyTypes(keyTypes)}`);
    const monitors = formatMonitors(map.flatMap(({ v1, v2 }) => v1 ?? v2 ?? []));
    const { hostKey } = host.connection;
    const { cephx } = this.wizard;
    if (cephx !== undefined) {
      const access = await this.#loginAccess(call, monitors, cephx);
      refuseForbiddenKey(access, keyTypes);
      return keepAccess(call, access, { ownUser: false, hostKey: hostKey.line });
    }
    const name = `${OWN_USER_PREFIX}${srOf(call)}`;
    const pools = await poolsOfImage(host, imageSpecOf(this), call.deadline);
    call.waiting(`the monitor to make the cephx user client.${name}`);
    this.#asked = name;
    const use = { keys: krbdOf(call).keys, types: keyTypes };
    const { user, key } = await host.ensureUser(pools, name, call.deadline, use);
    call.log.info(`SR ${srOf(call)} uses the cephx user client.${user}, which may use ${pools.join(' and ')} only`);
    return keepAccess(call, clusterAccess({ monitors, user, key }), { ownUser: true, hostKey: hostKey.line });
  }

  monitorHost(call: SmCall): Promise<MonitorHost> {
    this.#host ??= keptHostKey(call).then((pinned) => openMonitorHost(call, this.wizard, pinned));
    return this.#host;
  }

  #keptBefore(call: SmCall): Promise<Kept | undefined> {
    this.#kept ??= keptAccess(call);
    return this.#kept;
  }

  /** Over SSH; a cephx user that was typed in its place has what tools the host has. */
  async controlPlane(call: SmCall): Promise<ControlPlane> {
    if (this.wizard.ssh !== undefined || this.wizard.cephx === undefined) return this.monitorHost(call);
    const { controlPlaneOf } = await import('../ceph/control/tools/ceph-tools.ts');
    return controlPlaneOf(await this.access(call));
  }

  async abandon(call: SmCall): Promise<void> {
    const users = this.#asked === undefined ? [] : [this.#asked];
    // What xapi keeps and what the cluster keeps: neither has to wait for the other to succeed.
    const [forgotten] = await Promise.allSettled([forgetAccess(call)]);
    await this.#removeUsers(call, users);
    if (forgotten.status === 'rejected') throw forgotten.reason;
  }

  /** The cephx users made for it go with the SR; where that cannot be, the log names them. */
  async retire(call: SmCall): Promise<void> {
    const kept = await this.#keptBefore(call);
    await this.#removeUsers(call, [...(kept?.formerUsers ?? []), ...(kept?.ownUser === true ? [kept.user] : [])]);
  }

  async #removeUsers(call: SmCall, users: readonly string[]): Promise<void> {
    const failures: unknown[] = [];
    for (const user of users) {
      try {
        await (await this.monitorHost(call)).removeUser(user, call.deadline);
      } catch (error) {
        call.log.warn(`the cephx user client.${user} is left: on a monitor, ceph auth rm client.${user}`);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  frozen(keyring: string, access: ClusterAccess): StringRecord {
    return frozenConfig(this.#deviceConfig, keyring, access);
  }
}

/** The dispatcher lets through what may be ours; this is for a port that only looked like it. */
function notOurs(deviceConfig: StringRecord): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: "device-config port is not a Ceph monitor's",
    expected: "6789, which makes an iSCSI SR one of RBDSR's",
    found: JSON.stringify((deviceConfig['port'] ?? '').slice(0, 40)),
  });
}
