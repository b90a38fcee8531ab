import type { Deadline } from '../../../base/deadline.ts';
import { hasCode, messageOf, RbdsrError } from '../../../base/error.ts';
import { connectSsh } from '../../../system/ssh/ssh.ts';
import type { SshConnection, SshOptions } from '../../../system/ssh/ssh.ts';
import { controlPlaneBy, imageArgs } from '../tools/ceph-tools.ts';
import type { CephTools } from '../tools/ceph-tool-runner.ts';
import type { ControlPlane } from '../control-plane.ts';
import { ensureUser, type KeyUse } from '../ensure-user.ts';
import type { ImageSpec } from '../../image/image-spec.ts';
import type { OutputRange } from './monitor-host-script.ts';
import { MonitorHostTools } from './monitor-host-tools.ts';
import { decodeMonitorMap } from '../monitor-map.ts';
import type { ClusterFacts } from '../monitor-map.ts';
import { noMonitorAnswers, surveyMonitors } from '../../cluster/monitor-survey.ts';
import type { MonitorAddress } from '../../cluster/monitors.ts';
import { type ClusterUser, ownEntity } from '../own-user.ts';
import { listOwnUsers } from '../own-users.ts';

export interface MonitorHostOptions extends SshOptions {
  /**
   * Where the cluster's own port is; asked when SSH or its tools fail, to tell a wrong address from a wrong account.
   */
  readonly monitors?: readonly MonitorAddress[];
}

/**
 * A host of the cluster with an admin keyring, over one SSH connection. Every call is one remote command, a failed one
 * may take a second look. To ControlPlane's failures it adds 'sudo-refused' | 'admin-key-missing' | 'quorum-lost' |
 * 'ssh-login' | 'ssh-protocol'.
 */
export interface MonitorHost extends ControlPlane, AsyncDisposable {
  /** The host that answered and the key it showed. */
  readonly connection: SshConnection;
  /** The fsid, the whole monitor map, and which keys the cluster works with. */
  facts(deadline: Deadline): Promise<ClusterFacts>;
  /** ensure-user.ts; without `use` a user with a key that every kernel can use. */
  ensureUser(pools: readonly string[], name: string, deadline: Deadline, use?: KeyUse): Promise<ClusterUser>;
  /**
   * Bytes of an image, fewer where it ends. Nothing is mapped and no lock is taken; what lies before them is read on
   * the monitor, so they should be near the image's beginning.
   */
  readRange(spec: ImageSpec, range: OutputRange, deadline: Deadline): Promise<Buffer>;
  /**
   * The names, without `client.`, of all users that some RBDSR has made. Ceph prints every key of the cluster for it;
   * they are dropped unread.
   */
  ownUsers(deadline: Deadline): Promise<readonly string[]>;
  /** Done when there is no such user. */
  removeUser(name: string, deadline: Deadline): Promise<void>;
}

/** connectSsh's failures, or 'monitor-unreachable' when what answers at `monitors` is no Ceph either. */
export async function connectMonitorHost(o: MonitorHostOptions): Promise<MonitorHost> {
  let connection: SshConnection;
  try {
    connection = await connectSsh(o);
  } catch (error) {
    if (!hasCode(error, 'monitor-unreachable', 'ssh-protocol')) throw error;
    throw await asSeenFromOutside(error, o);
  }
  const remote = new MonitorHostTools(connection, o.password);
  const tools = explaining(remote, o);
  return {
    ...controlPlaneBy(tools),
    connection,
    facts: async (deadline) => decodeMonitorMap(await tools.ceph(['mon', 'dump', '--format', 'json'], deadline)),
    ensureUser: (pools, name, deadline, use = {}) => ensureUser(tools, pools, name, use, deadline),
    readRange: (spec, range, deadline) =>
      remote
        .rbdRange(['export', '--no-progress', ...imageArgs(spec), '--path=-'], spec, range, deadline)
        .catch((error: unknown) => explain(error, o)),
    ownUsers: (deadline) => listOwnUsers(tools, deadline),
    removeUser: async (name, deadline) => {
      await tools.ceph(['auth', 'rm', ownEntity(name)], deadline);
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** A host without ceph tools may be no host of a cluster at all. */
async function explain(error: unknown, o: MonitorHostOptions): Promise<never> {
  if (!hasCode(error, 'control-plane-missing')) throw error;
  throw await asSeenFromOutside(error, o);
}

function explaining(tools: CephTools, o: MonitorHostOptions): CephTools {
  return {
    rbd: (...call) => tools.rbd(...call).catch((error: unknown) => explain(error, o)),
    ceph: (...call) => tools.ceph(...call).catch((error: unknown) => explain(error, o)),
  };
}

/** `error`, or what the monitor's own port says when that is no Ceph; a second look hides no first error. */
async function asSeenFromOutside(error: RbdsrError, o: MonitorHostOptions): Promise<RbdsrError> {
  const monitors = o.monitors ?? [];
  if (monitors.length === 0) return error;
  try {
    const answers = await surveyMonitors(monitors, o.deadline.within(LOOK_MS));
    if (answers.every(({ state }) => state === 'foreign')) {
      const foreign = noMonitorAnswers(answers);
      return new RbdsrError(foreign.code, { ...foreign.detail, cause: error });
    }
    const states = new Set(answers.map(({ state }) => state));
    const isCeph = states.has('msgr1') || states.has('msgr2');
    if (!isCeph && !states.has('silent')) return error;
    const seen = isCeph ? 'A Ceph monitor itself does answer at this address.' : SILENT;
    return new RbdsrError(error.code, { ...error.detail, todo: `${seen} ${error.detail.todo ?? ''}`.trim() });
  } catch (failure) {
    return new RbdsrError(error.code, { ...error.detail, facts: { ...error.detail.facts, look: messageOf(failure) } });
  }
}

const LOOK_MS = 3000;

/** A target waits for its initiator to speak (RFC 7143, login phase); a Ceph daemon speaks first. */
const SILENT =
  'What listens at this address and port says nothing, which a Ceph monitor in order never does: it may be an iSCSI target, or a monitor that hangs.';
