import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { errnoNamed } from '../tools/ceph-tool-errors.ts';
import type { MonitorSession } from '../../wire/monitor-session.ts';

/** Who asks, for the sentences about what is refused. */
export interface Asker {
  /** Without `client.`. */
  readonly user: string;
  /** "the cluster at 10.0.0.11:6789". */
  readonly cluster: string;
}

/** Commands of monitors, by the words that `ceph` has for them. */
export class ClusterCommands {
  readonly asker: Asker;
  readonly #monitors: MonitorSession;

  constructor(asker: Asker, monitors: MonitorSession) {
    this.asker = asker;
    this.#monitors = monitors;
  }

  /**
   * What it prints. 'cluster-auth' names the capability that is missing; any other refusal is 'control-plane-failed'
   * with its errno.
   */
  async ask(command: Readonly<Record<string, unknown>>, deadline: Deadline): Promise<string> {
    const { code, words, output } = await this.#monitors.command(command, deadline);
    if (code === 0) return output;
    const name = String(command['prefix']);
    const errno = errnoNamed(-code) ?? `errno ${-code}`;
    if (errno === 'EACCES' || errno === 'EPERM') throw notAllowed(this.asker, name);
    throw new RbdsrError('control-plane-failed', {
      what: `\`ceph ${name}\` failed`,
      found: words.trim() === '' ? errno : `${errno}: ${words.trim().slice(0, 200)}`,
      facts: { command: name, errno },
    });
  }

  json(command: Readonly<Record<string, unknown>>, deadline: Deadline): Promise<string> {
    return this.ask({ ...command, format: 'json' }, deadline);
  }
}

function notAllowed({ user, cluster }: Asker, command: string): RbdsrError {
  const isUnfence = command.endsWith(' rm');
  return new RbdsrError('cluster-auth', {
    what: `${cluster} does not let client.${user} do what \`ceph ${command}\` needs`,
    expected: isUnfence
      ? `the capability mon 'allow command "osd blocklist" with blocklistop=rm' beside profile rbd, or an administrator`
      : "the capability mon 'profile rbd'",
    found: 'EACCES',
    todo: `\`ceph auth get client.${user}\` on a host with an admin key shows the user's capabilities; \`ceph auth caps\` sets them, all at once.`,
    facts: { command, user, missing: 'mon' },
  });
}
