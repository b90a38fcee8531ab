import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { printable } from '../image/image-spec.ts';
import type { Messenger, PeerAddress } from './connection.ts';
import { isSameAddress } from './entity-address.ts';
import type { MonitorSession } from './monitor-session.ts';
import { OsdLine } from './osd-line.ts';
import {
  type Notified,
  notifyWatchers,
  type ObjectPlace,
  type Operation,
  operationMessage,
  type OperationReply,
  type Target,
} from './osd-messages.ts';

/** Which OSD serves an object now, and where it listens. What was said before is asked again after `doubt`. */
export interface Whereabouts {
  target(place: ObjectPlace, deadline: Deadline): Promise<Target>;
  /** Undefined for an OSD that is down. */
  address(osd: number, deadline: Deadline): Promise<PeerAddress | undefined>;
  /** Of one object's placement group, or of all addresses. */
  doubt(place?: ObjectPlace): void;
}

/**
 * Operations on objects: one connection to each OSD that is asked, as many operations in flight as there are. Each has
 * one identity for as long as it takes, and an OSD does what it has done already no second time: so whatever has no
 * answer is sent again, over a new connection, to another primary, in a new epoch, after a backoff. No identity is ever
 * given twice, since an OSD would answer the second operation as the first without doing it (ceph-protocol: reqid).
 */
export class OsdSession {
  readonly #monitors: Pick<MonitorSession, 'ticket'>;
  readonly #messenger: Messenger;
  readonly #whereabouts: Whereabouts;
  readonly #lines = new Map<number, KnownLine>();
  /** Of the first login: a later one is another client to the monitors, and operations stay the first one's. */
  #globalId: bigint | undefined;
  #tid = 0;
  readonly #over = new AbortController();

  constructor(monitors: Pick<MonitorSession, 'ticket'>, messenger: Messenger, whereabouts: Whereabouts) {
    this.#monitors = monitors;
    this.#messenger = messenger;
    this.#whereabouts = whereabouts;
  }

  /**
   * The reply, whatever its result says. 'osd-unresponsive' where none came. `notBefore`: whoever answers does so by
   * this map of OSDs or a newer one; an OSD that has an older one waits until it has it.
   */
  async operate(
    place: ObjectPlace,
    operations: readonly Operation[],
    access: 'read' | 'write',
    deadline: Deadline,
    notBefore = 0,
  ): Promise<OperationReply & { readonly osd: number }> {
    const flight = new Flight(this.#nextTid());
    const send = async (line: OsdLine, target: Target): Promise<OperationReply & { readonly osd: number }> => {
      const globalId = this.#globalId ?? 0n;
      const sent = { ...target, epoch: Math.max(target.epoch, notBefore) };
      const reply = await line.operate(flight.tid, () =>
        operationMessage(place, operations, access, { globalId, tid: flight.tid }, sent, flight.nextAttempt()),
      );
      return { ...reply, osd: target.osd };
    };
    return this.#untilAnswered(place, flight, send, deadline);
  }

  /** Tells all who watch the object, and waits until they have answered; those who do not in time are named. */
  async notify(place: ObjectPlace, payload: Buffer, timeoutSeconds: number, deadline: Deadline): Promise<Notified> {
    const flight = new Flight(this.#nextTid());
    const operations = [notifyWatchers(payload, timeoutSeconds, flight.tid)];
    const send = async (line: OsdLine, target: Target): Promise<Notified> => {
      const globalId = this.#globalId ?? 0n;
      const ended = line.notification(flight.tid);
      const taken = await line.operate(flight.tid, () =>
        operationMessage(place, operations, 'read', { globalId, tid: flight.tid }, target, flight.nextAttempt()),
      );
      return taken.result === 0 ? ended : { cookie: flight.tid, missed: [] };
    };
    return this.#untilAnswered(place, flight, send, deadline, (timeoutSeconds + 1) * 1000);
  }

  close(): void {
    this.#over.abort();
    for (const { opening } of this.#lines.values()) {
      void opening.then(
        (line) => line.close(),
        () => undefined,
      );
    }
    this.#lines.clear();
  }

  #nextTid(): number {
    this.#tid += 1;
    return this.#tid;
  }

  async #untilAnswered<T>(
    place: ObjectPlace,
    flight: Flight,
    send: (line: OsdLine, target: Target) => Promise<T>,
    deadline: Deadline,
    patienceMs = PATIENCE_MS,
  ): Promise<T> {
    let trouble = 'no answer';
    for (;;) {
      const target = await this.#whereabouts.target(place, deadline);
      if (target.osd < 0) {
        trouble = 'no OSD serves its placement group';
      } else {
        try {
          const line = await this.#line(target.osd, deadline);
          const outcome = await this.#watch(place, target, send(line, target), deadline, patienceMs).finally(() =>
            line.forget(flight.tid),
          );
          if (outcome !== MOVED) return outcome;
          this.#whereabouts.doubt();
          continue;
        } catch (error) {
          if (!hasCode(error, 'monitor-unreachable', 'deadline')) throw error;
          trouble = error.detail.found ?? error.detail.what;
        }
      }
      this.#whereabouts.doubt();
      this.#whereabouts.doubt(place);
      if (deadline.leftMs <= AGAIN_MS) throw unresponsive(place, target.osd, trouble);
      await pause(AGAIN_MS);
    }
  }

  /** The answer; or MOVED, when the monitors say meanwhile that it is due to another OSD, or in a new epoch. */
  async #watch<T>(
    place: ObjectPlace,
    sent: Target,
    answer: Promise<T>,
    deadline: Deadline,
    patienceMs: number,
  ): Promise<T | typeof MOVED> {
    const settled = answer.then((value) => ({ value }));
    settled.catch(() => undefined);
    for (;;) {
      const over = new AbortController();
      const wait = Math.min(patienceMs, deadline.leftMs);
      const late = pause(wait, undefined, { signal: over.signal }).catch(() => undefined);
      const first = await Promise.race([settled, late]).finally(() => over.abort());
      if (first !== undefined) return first.value;
      if (deadline.expired) throw unresponsive(place, sent.osd, 'no answer');
      this.#whereabouts.doubt(place);
      const now = await this.#whereabouts.target(place, deadline);
      if (now.osd !== sent.osd || now.epoch !== sent.epoch) return MOVED;
    }
  }

  async #line(osd: number, deadline: Deadline): Promise<OsdLine> {
    const peer = await this.#whereabouts.address(osd, deadline);
    if (peer === undefined) throw new RbdsrError('monitor-unreachable', { what: `osd.${osd} is down` });
    const known = this.#lines.get(osd);
    if (known !== undefined && isSameAddress(known.peer, peer)) {
      const line = await known.opening;
      if (!line.isLost) return line;
      if (this.#lines.get(osd) === known) this.#lines.delete(osd);
      return this.#line(osd, deadline);
    }
    // Its former life may have gone without a word.
    known?.opening.then(
      (line) => line.leave(),
      () => undefined,
    );
    const opening = this.#open(osd, peer, deadline);
    const opened = { peer, opening };
    this.#lines.set(osd, opened);
    opening.catch(() => {
      if (this.#lines.get(osd) === opened) this.#lines.delete(osd);
    });
    return opening;
  }

  async #open(osd: number, peer: PeerAddress, deadline: Deadline): Promise<OsdLine> {
    let isRefused = false;
    for (;;) {
      const shown = await this.#monitors.ticket(isRefused, deadline);
      this.#globalId ??= shown.globalId;
      try {
        const within = { deadline: deadline.within(CONNECT_MS), giveUp: this.#over.signal };
        return await OsdLine.open(this.#messenger, peer, shown, within);
      } catch (error) {
        if (!hasCode(error, 'cluster-auth') || error.detail.facts?.['isTicketRefused'] !== true) throw error;
        if (isRefused) throw notYet(osd, error);
        isRefused = true;
      }
    }
  }
}

/**
 * An OSD that has just started does not know the keys yet by which tickets are sealed: what the monitors have given
 * this moment is good a little later.
 */
function notYet(osd: number, error: RbdsrError): RbdsrError {
  return new RbdsrError('monitor-unreachable', {
    what: `osd.${osd} refuses a ticket that the monitors have just given: ${error.message}`,
    cause: error,
  });
}

/** With the life of the OSD that it is to. */
interface KnownLine {
  readonly peer: PeerAddress;
  readonly opening: Promise<OsdLine>;
}

/** One operation for as long as it takes. */
class Flight {
  readonly tid: number;
  #attempts = -1;

  constructor(tid: number) {
    this.tid = tid;
  }

  nextAttempt(): number {
    this.#attempts += 1;
    return this.#attempts;
  }
}

const MOVED = Symbol('moved');
/** Without an answer the monitors are asked whether the object has moved. */
const PATIENCE_MS = 1000;
const AGAIN_MS = 200;
const CONNECT_MS = 3000;

function unresponsive({ object }: ObjectPlace, osd: number, found: string): RbdsrError {
  const who = osd < 0 ? 'no OSD' : `osd.${osd} does not answer`;
  return new RbdsrError('osd-unresponsive', {
    what: `the monitors answer, but the object ${printable(object)} is not served in time${osd < 0 ? '' : `: ${who}`}`,
    expected: 'OSDs that are up and that this host reaches',
    found,
    todo: '`ceph -s` shows the OSDs and the placement groups.',
    facts: { osd, object },
  });
}
