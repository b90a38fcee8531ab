import { createHmac, timingSafeEqual } from 'node:crypto';
import { RbdsrError } from '../../../base/error.ts';
import type { PeerAddress } from '../connection.ts';
import { formatPeer } from '../peer-failure.ts';
import type { ByteSource } from './framing.ts';

/** Where a handshake's bytes go to and come from. */
interface ByteLine extends ByteSource {
  write(bytes: Buffer): void;
}

/**
 * All that both sides have said before they knew each other, the greeting included: once they do, each sends a checksum
 * with the session's key of what it has heard, and the other one knows whether that is what it had said.
 */
export class Transcript implements ByteLine {
  readonly #line: ByteLine;
  readonly #said: Buffer[] = [];
  readonly #heard: Buffer[] = [];

  constructor(line: ByteLine) {
    this.#line = line;
  }

  async read(length: number): Promise<Buffer> {
    const bytes = await this.#line.read(length);
    this.#heard.push(Buffer.from(bytes));
    return bytes;
  }

  write(bytes: Buffer): void {
    this.#said.push(bytes);
    this.#line.write(bytes);
  }

  signature(sessionKey: Buffer): Buffer {
    return sign(sessionKey, this.#heard);
  }

  /** 'cluster-auth' where the peer has heard something else. */
  check(sessionKey: Buffer, signature: Buffer, peer: PeerAddress): void {
    const expected = sign(sessionKey, this.#said);
    if (signature.length === expected.length && timingSafeEqual(signature, expected)) return;
    throw new RbdsrError('cluster-auth', {
      what: `what was said to the daemon at ${formatPeer(peer)} before the login was changed on the way`,
      expected: 'a signature of what this side has sent',
      found: 'another one',
      todo: 'Something between this host and the cluster changes what they say to each other.',
    });
  }
}

function sign(sessionKey: Buffer, parts: readonly Buffer[]): Buffer {
  return createHmac('sha256', sessionKey).update(Buffer.concat(parts)).digest();
}
