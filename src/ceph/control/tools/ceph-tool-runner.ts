import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { runProgram, succeeded } from '../../../system/run.ts';
import type { ClusterAccess } from '../../cluster/access.ts';
import { keyTypeOf } from '../../cluster/cephx-key.ts';
import { errnoOf, keyUnreadable, mapRefused, toolCommandOf, toolFailed, toolNotAllowed } from './ceph-tool-errors.ts';
import type { ToolFailure } from './ceph-tool-errors.ts';
import { placeRefused, whatIsMissing } from './ceph-tool-missing.ts';
import { aboutPlace } from '../not-allowed.ts';
import type { ToolSubject } from './ceph-tool-missing.ts';
import { withClientFiles } from './client-files.ts';
import { noMonitorAnswers, surveyMonitors } from '../../cluster/monitor-survey.ts';
import { formatMonitors } from '../../cluster/monitors.ts';
import { resolveMonitors } from '../../cluster/resolve-monitors.ts';

export interface CephToolOptions {
  /** Folders to look for the programs in. */
  readonly searchPath?: readonly string[];
  /** Where the private configuration and key are put for the length of a call; default `/var/run/rbdsr`. */
  readonly runDir?: string;
}

const SEARCH_PATH = ['/usr/bin', '/bin', '/usr/local/bin', '/usr/sbin'];

/**
 * Where `rbd` and `ceph` run: on this host, or on a monitor's. Both answer what the program printed, or fail with what
 * ControlPlane names.
 */
export interface CephTools {
  rbd(args: readonly string[], subject: ToolSubject, deadline: Deadline): Promise<string>;
  ceph(args: readonly string[], deadline: Deadline): Promise<string>;
}

/** Runs `rbd` and `ceph` with a configuration of our own, and turns how they end into named errors. */
export class CephToolRunner implements CephTools {
  readonly #access: ClusterAccess;
  readonly #searchPath: readonly string[];
  readonly #runDir: string;

  constructor(access: ClusterAccess, options: CephToolOptions) {
    this.#access = access;
    this.#searchPath = options.searchPath ?? SEARCH_PATH;
    this.#runDir = options.runDir ?? '/var/run/rbdsr';
  }

  /** 'control-plane-missing' unless one of the programs is there. */
  requireAny(): void {
    if (this.#find('rbd') === undefined && this.#find('ceph') === undefined) throw missing(['rbd', 'ceph']);
  }

  async rbd(args: readonly string[], subject: ToolSubject, deadline: Deadline): Promise<string> {
    const call = await this.#run('rbd', args, deadline);
    if (succeeded(call.outcome)) return call.outcome.stdout;
    if (errnoOf(call.outcome) === 'ENOENT') {
      throw await whatIsMissing(subject, call, async (list) => (await this.#run('rbd', list, deadline)).outcome);
    }
    if (errnoOf(call.outcome) === 'EPERM') throw placeRefused(subject, call);
    throw aboutPlace(await this.#failure(call, deadline), subject);
  }

  async ceph(args: readonly string[], deadline: Deadline): Promise<string> {
    const call = await this.#run('ceph', args, deadline);
    if (succeeded(call.outcome)) return call.outcome.stdout;
    throw await this.#failure(call, deadline);
  }

  /** A key that the programs cannot read is 'cluster-incompatible', whatever else they make of it. */
  async #run(name: 'rbd' | 'ceph', args: readonly string[], deadline: Deadline): Promise<ToolFailure> {
    const program = this.#find(name);
    if (program === undefined) throw missing([name]);
    const seconds = Math.max(1, Math.min(MAX_SECONDS, Math.floor((deadline.leftMs / 1000) * 0.7)));
    const outcome = await withClientFiles(this.#runDir, this.#access, seconds, (config) => {
      // --name and not --id: a value that starts with "client." is never taken for an option.
      const common = ['--conf', config, '--name', `client.${this.#access.user}`];
      const patience = name === 'ceph' ? ['--connect-timeout', String(seconds)] : [];
      return runProgram(program, [...common, ...patience, ...args], { deadline });
    });
    const cluster = `the cluster at ${formatMonitors(this.#access.monitors)}`;
    const { user, key } = this.#access;
    const call = { outcome, program: name, command: toolCommandOf(name, args), user, cluster };
    const unreadable = succeeded(outcome) ? undefined : keyUnreadable(keyTypeOf(key), call);
    if (unreadable !== undefined) throw unreadable;
    return call;
  }

  #find(name: string): string | undefined {
    return this.#searchPath.map((folder) => join(folder, name)).find(isExecutable);
  }

  async #failure(failure: ToolFailure, deadline: Deadline): Promise<RbdsrError> {
    const errno = errnoOf(failure.outcome);
    // `ceph` exits with 1, which is also EPERM, when its connection timed out and for whatever it did not foresee.
    if (errno === 'EACCES') return toolNotAllowed(failure);
    if (errno === 'ETIMEDOUT' || errno === 'EPERM' || errno === 'EINTR') return this.#whoIsSilent(failure, deadline);
    return toolFailed(failure);
  }

  /** The monitors, or the OSDs behind them. */
  async #whoIsSilent(failure: ToolFailure, deadline: Deadline): Promise<RbdsrError> {
    const addresses = await resolveMonitors(this.#access.monitors, deadline.within(LOOK_MS));
    const answers = await surveyMonitors(addresses, deadline.within(LOOK_MS));
    if (!answers.some(({ state }) => state === 'msgr1' || state === 'msgr2')) return noMonitorAnswers(answers);
    if (errnoOf(failure.outcome) === 'EPERM') return toolFailed(failure);
    const refused = await mapRefused(this.#run('ceph', ['osd', 'dump', '--format', 'json'], deadline.within(LOOK_MS)));
    if (refused !== undefined) return refused;
    return new RbdsrError('osd-unresponsive', {
      what: `the monitors answer, but \`${failure.command}\` did not end in time`,
      expected: 'monitors in quorum, and OSDs that this host reaches',
      found: errnoOf(failure.outcome),
      todo: '`ceph -s` shows the quorum and the OSDs.',
      facts: { command: failure.command },
    });
  }
}

/** At most what one connection or one operation may take inside the programs, seconds. */
const MAX_SECONDS = 20;
/** What the second look at the monitors may take. */
const LOOK_MS = 3000;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const NEEDED_FOR: Readonly<Record<string, string>> = {
  rbd: 'listing, creating and resizing images and seeing their watchers',
  ceph: 'listing pools and fencing',
};

function missing(programs: readonly string[]): RbdsrError {
  const uses = programs.map((program) => NEEDED_FOR[program] ?? program).join('; ');
  return new RbdsrError('control-plane-missing', {
    what: `this host has no program called ${programs.join(' or ')}, which is needed for ${uses}`,
    expected: 'the package ceph-common',
    todo: 'Without it, name the pool and an image that exists: mapping, attaching, scanning and every disk command work without ceph tools.',
    facts: { programs: programs.join(',') },
  });
}
