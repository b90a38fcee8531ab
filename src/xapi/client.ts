import type { Deadline } from '../base/deadline.ts';
import { decodeResponse } from '../xmlrpc/decode.ts';
import { encodeCall } from '../xmlrpc/encode.ts';
import { isArray, isStruct, type XmlRpcValue } from '../xmlrpc/value.ts';
import { HttpConnection } from './_http-connection.ts';
import { unexpectedAnswer, xapiFailure } from './failure.ts';

/** A session with the local xapi over one connection. Calls made at the same time go one after the other. */
export interface Xapi {
  /**
   * One call of the XenAPI; the session is put before `params`. Sizes are passed as decimal strings.
   * Throws 'xapi-failure' (facts.xapiCode is the first element of ErrorDescription), 'xapi-unreachable' or 'deadline'.
   */
  call(method: string, ...params: readonly XmlRpcValue[]): Promise<XmlRpcValue>;
  /** Drops the connection, not the session. */
  close(): void;
}

/** A session of our own, which we end. */
export interface OwnXapi extends Xapi {
  /** Ends the session and drops the connection. */
  logout(): Promise<void>;
}

export interface XapiAddress {
  /** The UNIX socket, or "host:port" for TCP. */
  readonly socketPath: string;
  /** The request's `subtask_of`: what we do shows up below the caller's task. */
  readonly subtaskOf?: string;
  readonly deadline: Deadline;
  /** Waits for a xapi that is being restarted: for what has to be undone. */
  readonly patient?: boolean;
}

/** Uses the session xapi passed in a request. Connects with the first call. */
export function connectXapi(o: XapiAddress & { readonly session: string }): Xapi {
  return new Connection(o, o.session);
}

/** Logs in as root, which xapi allows without a password on its local socket. */
export async function loginXapi(o: XapiAddress): Promise<OwnXapi> {
  const connection = new Connection(o, undefined);
  try {
    const session = await connection.call('session.login_with_password', 'root', '', '', 'SM');
    if (typeof session !== 'string') throw unexpectedAnswer('session.login_with_password', 'a session');
    connection.session = session;
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

class Connection implements OwnXapi {
  session: string | undefined;
  readonly #http: HttpConnection;
  readonly #deadline: Deadline;
  readonly #headers: Readonly<Record<string, string>>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(o: XapiAddress, session: string | undefined) {
    this.session = session;
    this.#http = new HttpConnection(o.socketPath, { patient: o.patient === true });
    this.#deadline = o.deadline;
    this.#headers = o.subtaskOf === undefined ? {} : { 'Subtask-of': o.subtaskOf };
  }

  call(method: string, ...params: readonly XmlRpcValue[]): Promise<XmlRpcValue> {
    return this.#call(method, params, this.#deadline);
  }

  async #call(method: string, params: readonly XmlRpcValue[], deadline: Deadline): Promise<XmlRpcValue> {
    const all = this.session === undefined ? params : [this.session, ...params];
    const document = encodeCall(method, all);
    const answer = this.#last.then(() => this.#http.post(document, this.#headers, deadline));
    this.#last = answer.catch(() => {});
    return readAnswer(method, await answer, this.session === undefined ? [] : [this.session]);
  }

  async logout(): Promise<void> {
    try {
      // Also after the deadline: a session that nobody ends stays in xapi for a day.
      await this.#call('session.logout', [], this.#deadline.forCleanUp());
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#http.close();
  }
}

/** `{Status: Success, Value}` or `{Status: Failure, ErrorDescription}` (xen-api, wire protocol over XML-RPC). */
function readAnswer(method: string, document: string, hidden: readonly string[]): XmlRpcValue {
  const value = decodeAnswer(method, document, hidden);
  if (isStruct(value)) {
    if (value['Status'] === 'Success' && value['Value'] !== undefined) return value['Value'];
    const description = value['ErrorDescription'];
    if (value['Status'] === 'Failure' && description !== undefined && isArray(description)) {
      throw xapiFailure(method, description.map(String), hidden);
    }
  }
  throw unexpectedAnswer(method, 'a Status of Success or Failure');
}

function decodeAnswer(method: string, document: string, hidden: readonly string[]): XmlRpcValue {
  let response: ReturnType<typeof decodeResponse>;
  try {
    response = decodeResponse(document);
  } catch (error) {
    throw unexpectedAnswer(method, 'an XML-RPC answer', error);
  }
  if ('value' in response) return response.value;
  throw xapiFailure(method, ['FAULT', String(response.fault.faultCode), response.fault.faultString], hidden);
}
