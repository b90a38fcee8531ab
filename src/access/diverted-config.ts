import { hasCode, messageOf, RbdsrError } from '../base/error.ts';
import type { ClusterAccess } from '../ceph/cluster/access.ts';
import { formatMonitor, formatMonitors, kernelAddresses } from '../ceph/cluster/monitors.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { UserPlane } from '../ceph/control/user-plane.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { isDiverted } from '../sr/config/diverted.ts';
import { frozenAccess, frozenConfig } from '../sr/config/frozen-config.ts';
import { imageSpecOf, type SrConfig } from '../sr/config/sr-type.ts';
import { translate } from '../sr/config/translate.ts';
import type { CephxLogin, WizardConfig } from '../sr/config/wizard-config.ts';
import type { SrWork } from '../sr/work/work.ts';
import type { StringMap } from '../xapi/values.ts';
import { keepMonitors } from './change-kept.ts';
import { forgetAccess, keepAccess, type Kept, keptAccess, keptHostKey } from './kept-access.ts';
import { planeForCall } from './plane-for-call.ts';
import { typedAccess } from './typed-access.ts';

/** What the wizard's fields mean for one call. */
export class DivertedConfig implements SrConfig {
  readonly wizard: WizardConfig;
  readonly options: SrConfig['options'] = [];
  readonly #deviceConfig: StringMap;
  /** As it was when the call began. */
  #kept: Promise<Kept | undefined> | undefined;
  #host: Promise<MonitorHost> | undefined;
  #plane: Promise<UserPlane> | undefined;
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
    const typed = await this.#typedAccess(work, formatMonitors(this.wizard.monitors), cephx);
    // A step of the wizard that makes no SR leaves nothing in xapi.
    if (this.wizard.step !== 'chosen' || work.subject.srRef === undefined) return typed;
    return keepAccess(work, await this.#byAllMonitors(work, typed), { ownUser: false });
  }

  #typedAccess(work: SrWork, monitors: string, cephx: CephxLogin): Promise<ClusterAccess> {
    const isChapUser = this.#deviceConfig['chapuser']?.startsWith('client.') === true;
    return typedAccess(work, monitors, cephx, isChapUser ? 'chappassword' : 'incoming_chappassword');
  }

  /** By every monitor that the cluster has; by those that were typed, where it cannot be asked. */
  async #byAllMonitors(work: SrWork, typed: ClusterAccess): Promise<ClusterAccess> {
    try {
      const facts = await (await this.#planeAs(work, typed)).facts(work.deadline);
      return facts === undefined ? typed : { ...typed, monitors: kernelAddresses(facts.monitors) };
    } catch (error) {
      if (!(error instanceof RbdsrError) || hasCode(error, 'cluster-auth')) throw error;
      work.log.info(`of the monitors only those that were typed are known: ${messageOf(error)}`);
      return typed;
    }
  }

  /** Where nobody else could be asked, the kernel learns of the monitors that were not typed: they are kept too. */
  async mapped(work: SrWork, { monitors }: Mapping): Promise<void> {
    const { srRef } = work.subject;
    if (srRef === undefined || this.wizard.ssh !== undefined || frozenAccess(this.#deviceConfig) !== undefined) return;
    const access = await this.access(work);
    const known = access.monitors.map(formatMonitor);
    const all = [...new Set([...monitors, ...known])];
    if (all.length > known.length) await keepMonitors(await work.xapi(), srRef, all.join(','));
  }

  async #askMonitor(work: SrWork): Promise<ClusterAccess> {
    const host = await this.monitorHost(work);
    const { askMonitor } = await import('./ask-monitor.ts');
    const { cephx } = this.wizard;
    return askMonitor(work, host, {
      spec: imageSpecOf(this),
      typed: cephx === undefined ? undefined : (monitors) => this.#typedAccess(work, monitors, cephx),
      making: (name) => {
        this.#asked = name;
      },
    });
  }

  monitorHost(work: SrWork): Promise<MonitorHost> {
    this.#host ??= this.#openHost(work);
    return this.#host;
  }

  async #openHost(work: SrWork): Promise<MonitorHost> {
    const { openMonitorHost } = await import('./open-monitor-host.ts');
    return openMonitorHost(work, this.wizard, await keptHostKey(work));
  }

  #keptBefore(work: SrWork): Promise<Kept | undefined> {
    this.#kept ??= keptAccess(work);
    return this.#kept;
  }

  /**
   * As the SR's own cephx user, or the one that was typed. Over SSH as long as there is none, which is so in the first
   * steps of the wizard, and where nobody can ask as that user.
   */
  async controlPlane(work: SrWork): Promise<ControlPlane> {
    const { ssh, cephx, step } = this.wizard;
    if (step !== 'chosen' && (ssh !== undefined || cephx === undefined)) return this.monitorHost(work);
    const access = await this.access(work);
    try {
      return await this.#planeAs(work, access);
    } catch (error) {
      if (ssh === undefined || !hasCode(error, 'cluster-incompatible', 'control-plane-missing')) throw error;
      work.log.info(`the cluster is asked over SSH: ${error.message}`);
      return this.monitorHost(work);
    }
  }

  #planeAs(work: SrWork, access: ClusterAccess): Promise<UserPlane> {
    this.#plane ??= planeForCall(work, access);
    return this.#plane;
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
