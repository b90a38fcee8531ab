import type { Deadline } from '../../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../../base/error.ts';
import type { Secret } from '../../../base/secret.ts';
import { formatTarget } from '../../../system/ssh/ssh-known-hosts.ts';
import type { SshConnection } from '../../../system/ssh/ssh.ts';
import { succeeded } from '../../../system/run.ts';
import { toolCommandOf, errnoOf, mapRefused } from '../tools/ceph-tool-errors.ts';
import type { ToolFailure } from '../tools/ceph-tool-errors.ts';
import { aboutPlace } from '../not-allowed.ts';
import { placeRefused, whatIsMissing } from '../tools/ceph-tool-missing.ts';
import type { ToolSubject } from '../tools/ceph-tool-missing.ts';
import type { CephTools } from '../tools/ceph-tool-runner.ts';
import { accountUnusable, remoteFailure } from './monitor-host-errors.ts';
import type { RemoteAccount } from './monitor-host-errors.ts';
import { codeOfRange, type OutputRange, remoteArgv, scriptOutput, withoutCode } from './monitor-host-script.ts';

/**
 * Runs `rbd` and `ceph` on a monitor's host, as root and as client.admin: one remote command each. The options that
 * limit their patience are always the same and stand last, so that sudoers can list whole command lines.
 */
export class MonitorHostTools implements CephTools {
  readonly #connection: SshConnection;
  readonly #password: Secret | undefined;
  readonly #account: RemoteAccount;

  constructor(connection: SshConnection, password: Secret | undefined) {
    this.#connection = connection;
    this.#password = password;
    const { user, target } = connection;
    this.#account = { user, host: formatTarget(target) };
  }

  async rbd(args: readonly string[], subject: ToolSubject, deadline: Deadline): Promise<string> {
    const call = await this.#run('rbd', args, deadline);
    if (succeeded(call.outcome)) return call.outcome.stdout;
    throw await this.#rbdFailure(call, subject, deadline);
  }

  async #rbdFailure(call: RemoteCall, subject: ToolSubject, deadline: Deadline): Promise<RbdsrError> {
    const failure = remoteFailure(call, this.#account, call.keyring);
    const errno = hasCode(failure, 'control-plane-failed') ? errnoOf(call.outcome) : undefined;
    if (errno === 'EPERM') return placeRefused(subject, call);
    if (hasCode(failure, 'osd-unresponsive')) {
      const refused = await mapRefused(this.#run('ceph', ['osd', 'dump', '--format', 'json'], deadline));
      return refused === undefined ? failure : aboutPlace(refused, subject);
    }
    if (errno !== 'ENOENT') return aboutPlace(failure, subject);
    return whatIsMissing(subject, call, async (list) => (await this.#run('rbd', list, deadline)).outcome);
  }

  async ceph(args: readonly string[], deadline: Deadline): Promise<string> {
    const call = await this.#run('ceph', args, deadline);
    if (succeeded(call.outcome)) return call.outcome.stdout;
    throw remoteFailure(call, this.#account, call.keyring);
  }

  /** A range of what `rbd` writes to stdout, shorter where it writes less. That it is cut off then is no failure. */
  async rbdRange(
    args: readonly string[],
    subject: ToolSubject,
    part: OutputRange,
    deadline: Deadline,
  ): Promise<Buffer> {
    const call = await this.#run('rbd', args, deadline, part);
    const range = Buffer.from(call.outcome.stdout, 'base64');
    const code = codeOfRange(call.outcome.stderr);
    if (succeeded(call.outcome) && (code === 0 || range.length === part.length)) return range;
    const end = code === undefined ? call.outcome.end : ({ kind: 'exit', code } as const);
    const stderr = withoutCode(call.outcome.stderr);
    throw await this.#rbdFailure({ ...call, outcome: { ...call.outcome, end, stdout: '', stderr } }, subject, deadline);
  }

  async #run(
    program: 'rbd' | 'ceph',
    args: readonly string[],
    deadline: Deadline,
    part?: OutputRange,
  ): Promise<RemoteCall> {
    const nul = args.find((word) => word.includes('\0'));
    if (nul !== undefined) throw cannotBeTold(nul);
    const argv = remoteArgv(program, [...args, ...PATIENCE[program]], this.#password !== undefined, part);
    const stdin = this.#password === undefined ? '' : `${this.#password.reveal()}\n`;
    const outcome = await this.#connection.exec(argv, { deadline, stdin });
    const said = scriptOutput(outcome.stdout);
    if (said === undefined && outcome.end.kind !== 'timeout') throw accountUnusable(outcome, this.#account);
    return {
      outcome: { ...outcome, program, args, stdout: said?.stdout ?? '' },
      keyring: said?.keyring ?? true,
      program,
      command: toolCommandOf(program, args),
      user: 'admin',
      cluster: `the cluster at ${this.#account.host}`,
    };
  }
}

/** Told by the script: `keyring` as in ScriptOutput. */
type RemoteCall = ToolFailure & { readonly keyring: boolean };

/** What the programs may wait for a monitor or an OSD, seconds: less than any command of ours has. */
const PATIENCE: Readonly<Record<'rbd' | 'ceph', readonly string[]>> = {
  ceph: ['--connect-timeout', '10', '--rados-mon-op-timeout', '10'],
  rbd: ['--client-mount-timeout', '10', '--rados-mon-op-timeout', '10', '--rados-osd-op-timeout', '10'],
};

function cannotBeTold(word: string): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: 'a name contains a NUL, which no program can be told',
    found: JSON.stringify(word.slice(0, 80)),
  });
}
