import type { Deadline } from '../../base/deadline.ts';
import type { RbdsrError } from '../../base/error.ts';
import { nowMs } from '../../base/now.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { formatMonitor, type MonitorAddress } from '../cluster/monitors.ts';
import { ByteReader } from './byte-reader.ts';
import { SERVICE, type Ticket } from './cephx-authorizer.ts';
import { CEPHX, UserLogin } from './cephx-login.ts';
import type { Connection, WireMessage, Messenger, Patience } from './connection.ts';
import {
  askMonitorMap,
  authMessage,
  authReply,
  commandMessage,
  type CommandReply,
  commandReply,
  fsidOfMonitorMap,
  MESSAGE,
} from './mon-messages.ts';
import { peerLost } from './peer-failure.ts';
import { PendingAnswers } from './pending-answers.ts';

/** One connection to one monitor, logged in. Several questions may wait for their answers at once. */
export class MonitorLine {
  readonly monitor: MonitorAddress;
  readonly #login: UserLogin;
  readonly #pending = new PendingAnswers<WireMessage>();
  #connection: Connection | undefined;
  #fsid: Promise<Buffer> | undefined;
  #renewing: Promise<void> | undefined;

  private constructor(access: ClusterAccess, monitor: MonitorAddress) {
    this.monitor = monitor;
    this.#login = new UserLogin(access);
  }

  static async open(
    access: ClusterAccess,
    messenger: Messenger,
    monitor: MonitorAddress,
    within: Patience,
  ): Promise<MonitorLine> {
    const line = new MonitorLine(access, monitor);
    const receiver = {
      message: (message: WireMessage) => line.#receive(message),
      closed: (error: RbdsrError) => line.#pending.fail(error),
    };
    line.#connection = await messenger.toMonitor({ ...monitor, nonce: 0 }, line.#login, receiver, within);
    return line;
  }

  get isLost(): boolean {
    return this.#pending.isFailed;
  }

  /** 'deadline' | 'monitor-unreachable' where no answer came. */
  async command(command: Readonly<Record<string, unknown>>, deadline: Deadline): Promise<CommandReply> {
    const fsid = await this.#clusterOf(deadline);
    const { key: tid, answer } = this.#pending.add();
    this.#connection?.send(commandMessage(fsid, command, tid));
    const waited = `the monitor at ${formatMonitor(this.monitor)} to answer \`${String(command['prefix'])}\``;
    return commandReply(await deadline.race(answer, waited).finally(() => this.#pending.forget(tid)));
  }

  async ticket(
    isRefused: boolean,
    deadline: Deadline,
  ): Promise<{ readonly globalId: bigint; readonly ticket: Ticket }> {
    const known = this.#login.ticketFor(SERVICE.osd, nowMs());
    if (known !== undefined && !isRefused && known.renewAtMs > nowMs()) {
      return { globalId: this.#login.globalId, ticket: known };
    }
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    const at = formatMonitor(this.monitor);
    await deadline.race(this.#renewing, `the monitor at ${at} to give a new ticket`);
    const ticket = this.#login.ticketFor(SERVICE.osd, nowMs());
    // The login itself is over: its successor asks again.
    if (ticket === undefined || ticket === known) throw peerLost(this.monitor, 'lost', 'no new ticket');
    return { globalId: this.#login.globalId, ticket };
  }

  /** Whoever waits for an answer asks elsewhere. */
  close(): void {
    this.#connection?.close();
    this.#pending.fail(peerLost(this.monitor, 'lost', 'closed by this side'));
  }

  async #renew(): Promise<void> {
    const answer = this.#pending.addNamed(AUTH);
    this.#connection?.send(authMessage(CEPHX, this.#login.askTicket()));
    const { result, payload } = authReply(await answer);
    if (result === 0) this.#login.takeTicket(new ByteReader(payload, 'the answer to a request for a ticket'));
  }

  /** The fsid, without which a command is dropped unread. */
  async #clusterOf(deadline: Deadline): Promise<Buffer> {
    this.#fsid ??= this.#askCluster();
    return deadline.race(this.#fsid, `the monitor at ${formatMonitor(this.monitor)} to name its cluster`);
  }

  async #askCluster(): Promise<Buffer> {
    const answer = this.#pending.addNamed(MAP);
    this.#connection?.send(askMonitorMap());
    return fsidOfMonitorMap(await answer);
  }

  #receive(message: WireMessage): void {
    if (message.type === MESSAGE.commandReply) this.#pending.settle(message.tid, message);
    if (message.type === MESSAGE.monitorMap) this.#pending.settle(MAP, message);
    if (message.type === MESSAGE.authReply) this.#pending.settle(AUTH, message);
  }
}

/** Names of what has no number of its own. */
const MAP = -1;
const AUTH = -2;
