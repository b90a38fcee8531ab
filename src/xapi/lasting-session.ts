import type { XmlRpcValue } from '../xmlrpc/value.ts';
import { connectXapi, loginXapi, type OwnXapi, type Xapi, type XapiAddress } from './client.ts';
import { isXapiFailure } from './failure.ts';

/** A session that somebody else gave and may end at any time. */
export interface GivenSession {
  readonly ref: string;
  /**
   * Whether xapi has taken it. Only then it is replaced: one that xapi never knew proves nothing. Shared by all
   * connections of a call.
   */
  known: boolean;
}

/**
 * Uses the given session, and one of its own from when xapi has ended that: which it does as soon as a driver's command
 * is answered (xen-api `sm.ml`), although what the command started may have to be undone yet. A refused session means
 * that the call was not made, so it is made again.
 */
export class LastingSession implements Xapi {
  readonly #address: XapiAddress;
  readonly #given: GivenSession;
  readonly #first: Xapi;
  #own: Promise<OwnXapi> | undefined;

  constructor(address: XapiAddress, given: GivenSession) {
    this.#address = address;
    this.#given = given;
    this.#first = connectXapi({ ...address, session: given.ref });
  }

  async call(method: string, ...params: readonly XmlRpcValue[]): Promise<XmlRpcValue> {
    const own = this.#own;
    try {
      const answer = await (own === undefined ? this.#first : await own).call(method, ...params);
      this.#given.known = true;
      return answer;
    } catch (error) {
      if (!this.#given.known || !isXapiFailure(error, 'SESSION_INVALID')) throw error;
    }
    return (await this.#ownInPlaceOf(own)).call(method, ...params);
  }

  /** Ends what is its own. */
  async end(): Promise<void> {
    this.close();
    const own = await this.#own?.catch(() => undefined);
    await own?.logout();
  }

  close(): void {
    this.#first.close();
  }

  /** Calls that were refused together log in once. A task that xapi has ended with its command takes no more calls. */
  #ownInPlaceOf(refused: Promise<OwnXapi> | undefined): Promise<OwnXapi> {
    if (this.#own !== undefined && this.#own !== refused) return this.#own;
    const { subtaskOf: _task, ...address } = this.#address;
    this.#own = loginXapi(address);
    return this.#own;
  }
}
