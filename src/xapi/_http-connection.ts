import { connect, type Socket } from 'node:net';
import { nowMs } from '../base/now.ts';
import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { completeMessage } from './_http-message.ts';

/**
 * One connection to xapi's HTTP server, kept for the next request. Written on a plain socket because loading and
 * starting `node:http` costs more than the call itself (12 ms against 5 ms on a developer's machine, and many times
 * that in dom0). HTTP/1.1, since xapi closes the connection after every HTTP/1.0 request.
 */
export class HttpConnection {
  /** What messages call it: the socket's path, or host:port. */
  readonly name: string;
  readonly #patient: boolean;
  #idle: { readonly socket: Socket; readonly since: number } | undefined;

  /**
   * `patient`: waits for a xapi that is not there, up to the deadline: one that is being restarted is back in some
   * seconds.
   */
  constructor(name: string, { patient = false }: { readonly patient?: boolean } = {}) {
    this.name = name;
    this.#patient = patient;
  }

  /** The body of the answer. One request at a time. Throws 'xapi-unreachable' or 'deadline'. */
  async post(body: string, headers: Readonly<Record<string, string>>, deadline: Deadline): Promise<string> {
    for (;;) {
      try {
        return await this.#post(body, headers, deadline);
      } catch (error) {
        // A request that found no connection was not made.
        const errno = connectErrno(error);
        const wait = errno === 'EAGAIN' || (this.#patient && (errno === 'ECONNREFUSED' || errno === 'ENOENT'));
        if (!wait || deadline.leftMs <= RETRY_MS) throw error;
        await pause(RETRY_MS);
      }
    }
  }

  async #post(body: string, headers: Readonly<Record<string, string>>, deadline: Deadline): Promise<string> {
    const started = nowMs();
    // Nobody would wait for the answer of a request that was carried out.
    if (deadline.expired) throw deadline.exceeded(`an answer of xapi at ${this.name}`, started);
    const socket = this.#take() ?? open(this.name);
    socket.ref();
    const answer = exchange(socket, head(body, headers) + body, this.name);
    const timer = setTimeout(() => {
      socket.destroy(deadline.exceeded(`an answer of xapi at ${this.name}`, started));
    }, deadline.leftMs);
    try {
      const { body: text, keep } = await answer;
      if (keep) this.#keep(socket);
      else socket.destroy();
      return text;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#idle?.socket.destroy();
    this.#idle = undefined;
  }

  /**
   * The kept connection while the server still holds it; one left alone for long may be closing at this moment, so it
   * is not trusted.
   */
  #take(): Socket | undefined {
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle === undefined) return undefined;
    if (!idle.socket.destroyed && idle.socket.readable && nowMs() - idle.since < MAX_IDLE_MS) return idle.socket;
    idle.socket.destroy();
    return undefined;
  }

  #keep(socket: Socket): void {
    socket.unref();
    this.#idle = { socket, since: nowMs() };
  }
}

const MAX_IDLE_MS = 3000;
const RETRY_MS = 50;

/** Of a connection that did not come to be: EAGAIN where the socket's queue is full (connect(2), UNIX domain). */
function connectErrno(error: unknown): string | undefined {
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  return cause?.syscall === 'connect' ? cause.code : undefined;
}

/** "host:port" and "[address]:port" are TCP, anything else is a path. */
function open(name: string): Socket {
  const { host, port } = /^\[?(?<host>[^/\]]+)\]?:(?<port>\d{1,5})$/.exec(name)?.groups ?? {};
  const socket = host === undefined ? connect({ path: name }) : connect({ host, port: Number(port), noDelay: true });
  // An idle connection may fail at any time; #take sees that it did.
  return socket.on('error', () => {});
}

function head(body: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace(/[^\x20-\x7E]/g, '?')}\r\n`);
  const length = Buffer.byteLength(body);
  return `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: ${length}\r\n${lines.join('')}\r\n`;
}

interface Answer {
  readonly body: string;
  /** Whether the connection takes another request. */
  readonly keep: boolean;
}

async function exchange(socket: Socket, request: string, name: string): Promise<Answer> {
  const chunks: Buffer[] = [];
  let detach: () => void = () => {};
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const settle = (ended: boolean): void => {
        try {
          const message = completeMessage(chunks, ended);
          if (message === undefined) return;
          if (message.status === 200) resolve(message);
          else reject(unreachable(name, `HTTP status ${message.status}`));
        } catch (error) {
          reject(unreachable(name, error instanceof Error ? error.message : 'no HTTP', error));
        }
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        settle(false);
      };
      const onEnd = (): void => settle(true);
      const onError = (error: NodeJS.ErrnoException): void => {
        reject(error instanceof RbdsrError ? error : unreachable(name, error.code ?? error.message, error));
      };
      const onClose = (): void => reject(unreachable(name, 'the connection closed before the answer'));
      socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
      detach = () => socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      socket.write(request);
    });
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    detach();
  }
}

function unreachable(name: string, found: string, cause?: unknown): RbdsrError {
  return new RbdsrError('xapi-unreachable', {
    what: `xapi at ${name} does not answer`,
    found,
    todo: 'Check that the toolstack runs on this host: xe-toolstack-restart starts it anew.',
    facts: { socket: name },
    cause,
  });
}
