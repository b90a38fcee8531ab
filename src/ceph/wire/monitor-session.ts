import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { formatMonitor, type MonitorAddress } from '../cluster/monitors.ts';
import { type MonitorAnswer, noMonitorAnswers } from '../cluster/monitor-survey.ts';
import { resolveMonitors } from '../cluster/resolve-monitors.ts';
import type { Ticket } from './cephx-authorizer.ts';
import { MonitorLine } from './monitor-line.ts';
import type { Messenger } from './connection.ts';
import type { CommandReply } from './mon-messages.ts';
import { peerStateOf } from './peer-failure.ts';

/**
 * What is asked of the monitors of a cluster, of whichever of them answers first. One that is dead, frozen or lags
 * costs two seconds at most: then another is asked the same, which does no harm since every command here either reads
 * or says what is to be.
 */
export class MonitorSession {
  readonly #access: ClusterAccess;
  readonly #messenger: Messenger;
  #opening: Promise<MonitorLine> | undefined;
  #addresses: readonly MonitorAddress[] | undefined;
  readonly #heard = new Map<string, MonitorAnswer>();
  #hasServed = false;
  /** Of the race for a monitor that goes on. */
  #over = new AbortController();
  #isClosed = false;

  constructor(access: ClusterAccess, messenger: Messenger) {
    this.#access = access;
    this.#messenger = messenger;
  }

  /**
   * The reply, whatever its code says. 'monitor-unreachable' | 'quorum-lost' | 'cluster-auth' | 'dns' |
   * 'cluster-incompatible'
   */
  command(command: Readonly<Record<string, unknown>>, deadline: Deadline): Promise<CommandReply> {
    return this.#withLine((line, patience) => line.command(command, patience), deadline);
  }

  /** For OSDs, and the number of the client that it was given to. `isRefused`: an OSD did not take the last one. */
  ticket(isRefused: boolean, deadline: Deadline): Promise<{ readonly globalId: bigint; readonly ticket: Ticket }> {
    return this.#withLine((line, patience) => line.ticket(isRefused, patience), deadline);
  }

  close(): void {
    this.#isClosed = true;
    this.#over.abort();
    void this.#opening?.then(
      (line) => line.close(),
      () => undefined,
    );
  }

  async #withLine<T>(ask: (line: MonitorLine, patience: Deadline) => Promise<T>, deadline: Deadline): Promise<T> {
    for (let patienceMs = PATIENCE_MS; ; patienceMs *= 2) {
      const line = await this.#line(deadline);
      try {
        return await ask(line, deadline.within(patienceMs));
      } catch (error) {
        if (!hasCode(error, 'monitor-unreachable', 'deadline')) throw error;
        this.#leave(line, error);
        if (deadline.expired) throw this.#nobody();
      }
    }
  }

  /** It has not answered: it is asked last the next time. */
  #leave(line: MonitorLine, error: RbdsrError): void {
    const { monitor } = line;
    line.close();
    this.#heard.set(formatMonitor(monitor), heardOf(monitor, error));
    this.#addresses = [...(this.#addresses ?? []).filter((other) => other !== monitor), monitor];
    this.#opening = undefined;
  }

  async #line(deadline: Deadline): Promise<MonitorLine> {
    for (;;) {
      this.#opening ??= this.#race(deadline);
      const opening = this.#opening;
      let failure: unknown;
      try {
        const line = await opening;
        if (!line.isLost) return line;
      } catch (error) {
        failure = error;
      }
      if (this.#opening === opening) this.#opening = undefined;
      if (failure === undefined) continue;
      // Monitors that greet, or have served, are waited for: they elect a leader, or start anew.
      const isPassing = hasCode(failure, 'quorum-lost') || (this.#hasServed && hasCode(failure, 'monitor-unreachable'));
      if (!isPassing || deadline.leftMs <= AGAIN_MS) throw failure;
      await pause(AGAIN_MS);
    }
  }

  /** The next one is tried a moment later, and at once where one has failed. The first that lets us in serves. */
  async #race(deadline: Deadline): Promise<MonitorLine> {
    this.#addresses ??= await resolveMonitors(this.#access.monitors, deadline);
    const over = new AbortController();
    this.#over = over;
    if (this.#isClosed) over.abort();
    const attempts = new Set<Promise<void>>();
    const won: MonitorLine[] = [];
    const refusals: RbdsrError[] = [];
    const attempt = async (monitor: MonitorAddress): Promise<void> => {
      const within = { deadline: deadline.within(PATIENCE_MS), giveUp: over.signal };
      try {
        const line = await MonitorLine.open(this.#access, this.#messenger, monitor, within);
        won.push(line);
      } catch (error) {
        if (!(error instanceof RbdsrError)) throw error;
        if (!hasCode(error, 'monitor-unreachable')) refusals.push(error);
        else if (!over.signal.aborted) this.#heard.set(formatMonitor(monitor), heardOf(monitor, error));
      }
    };
    try {
      const waiting = [...this.#addresses];
      do {
        const monitor = waiting.shift();
        if (monitor !== undefined) {
          const running = attempt(monitor).finally(() => attempts.delete(running));
          attempts.add(running);
        }
        const next = waiting.length === 0 ? [] : [pause(NEXT_MS, undefined, { signal: over.signal }).catch(() => {})];
        await Promise.race([...attempts, ...next]);
        const [line] = won;
        if (line !== undefined) return this.#served(line);
        const [refusal] = refusals;
        if (refusal !== undefined) throw refusal;
      } while (waiting.length > 0 || attempts.size > 0);
      throw this.#nobody();
    } finally {
      over.abort();
      void Promise.allSettled(attempts).then(() => won.slice(1).map((line) => line.close()));
    }
  }

  #served(line: MonitorLine): MonitorLine {
    this.#hasServed = true;
    if (this.#isClosed) line.close();
    return line;
  }

  #nobody(): RbdsrError {
    const answers = [...this.#heard.values()];
    const living = answers.filter(({ state }) => state === 'msgr1' || state === 'msgr2');
    if (living.length === 0) return noMonitorAnswers(answers);
    const names = living.map(({ monitor }) => formatMonitor(monitor)).join(', ');
    return new RbdsrError('quorum-lost', {
      what: `the monitors at ${names} greet, but serve nobody: they are not in quorum`,
      found: answers.map(({ monitor, state, detail }) => `${formatMonitor(monitor)} ${state} (${detail})`).join('; '),
      todo: 'Start the missing monitors; `ceph daemon mon.ID mon_status` on a monitor shows what it waits for.',
      facts: { monitors: names },
    });
  }
}

/** What one monitor may take to let us in, and to answer a command while there are others to ask. */
const PATIENCE_MS = 2000;
/** After so long the next monitor is tried too. */
const NEXT_MS = 250;
/** Before all are tried again. */
const AGAIN_MS = 200;

function heardOf(monitor: MonitorAddress, error: RbdsrError): MonitorAnswer {
  const { state = 'msgr1', reason = 'no answer in time' } = peerStateOf(error) ?? {};
  return { monitor, state: state === 'lost' ? 'msgr1' : state, detail: reason };
}
