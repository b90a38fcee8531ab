import { readFileSync } from 'node:fs';
import { RbdsrError } from '../../src/base/error.ts';
import type { ByteSource } from '../../src/ceph/wire/v2/framing.ts';

/**
 * What was said and heard on one connection of messenger v2 to a daemon of Ceph 16.2.15 in the lab, whose keys are as
 * gone as its cluster: a handshake; of a monitor also its map and the answer to `osd dump`.
 */
export interface Conversation {
  readonly key: string;
  readonly sessionKey: Buffer;
  readonly connectionSecret: Buffer;
  /** By this side, and by the daemon. */
  readonly said: Buffer;
  readonly heard: Buffer;
}

export const CONVERSATIONS = ['monitor-crc', 'monitor-secure', 'osd-crc', 'osd-secure'] as const;

export function conversation(name: (typeof CONVERSATIONS)[number]): Conversation {
  const path = new URL(`../fixtures/ceph-wire/v2-${name}.json`, import.meta.url);
  const { key, ...hex } = JSON.parse(readFileSync(path, 'utf8')) as Record<keyof Conversation, string>;
  const bytes = (field: Exclude<keyof Conversation, 'key'>): Buffer => Buffer.from(hex[field], 'hex');
  return {
    key,
    sessionKey: bytes('sessionKey'),
    connectionSecret: bytes('connectionSecret'),
    said: bytes('said'),
    heard: bytes('heard'),
  };
}

/** Bytes of a peer that says nothing after them: who reads on is told so, as by a connection that ends. */
export class RecordedSource implements ByteSource {
  readonly #bytes: Buffer;
  at = 0;
  /** What was asked for at once at most. */
  mostAsked = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  read(length: number): Promise<Buffer> {
    this.mostAsked = Math.max(this.mostAsked, length);
    if (length > this.left) return Promise.reject(new RbdsrError('monitor-unreachable', { what: 'the end' }));
    this.at += length;
    return Promise.resolve(this.#bytes.subarray(this.at - length, this.at));
  }

  /** Nobody listens. */
  write(): void {}
}
