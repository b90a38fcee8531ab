import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { type Asker, monitorNotAllowed } from '../not-allowed.ts';
import { errnoNamed } from '../tools/ceph-tool-errors.ts';
import type { MonitorSession } from '../../wire/monitor-session.ts';

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
    if (errno === 'EACCES' || errno === 'EPERM') throw this.#notAllowed(name, command['op']);
    throw new RbdsrError('control-plane-failed', {
      what: `\`ceph ${name}\` failed`,
      found: words.trim() === '' ? errno : `${errno}: ${words.trim().slice(0, 200)}`,
      facts: { command: name, errno },
    });
  }

  /** `op`: of the list of those that are fenced, what is to become of it. */
  #notAllowed(name: string, op: unknown): RbdsrError {
    return monitorNotAllowed(this.asker, typeof op === 'string' ? `ceph ${name} ${op}` : `ceph ${name}`);
  }

  json(command: Readonly<Record<string, unknown>>, deadline: Deadline): Promise<string> {
    return this.ask({ ...command, format: 'json' }, deadline);
  }
}
