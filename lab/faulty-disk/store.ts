import type { FaultPlan } from './fault.ts';

const SECTOR = 512;
const LAST_BLOCK = 4096;

/** Bytes from an offset on: what a write brought, or the zeroes of a discard. */
interface Change {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The power is gone: nothing is answered any more. */
export class PowerCut extends Error {}

/** The request is answered with an I/O error. */
export class Refused extends Error {}

/**
 * A disk in memory with a volatile cache, which only a flush makes durable, and with one fault. Each request is done
 * at once: which of those in flight comes first is the caller's choice, and a flush covers all that were done before
 * it.
 */
export class FaultyStore {
  readonly size: number;
  readonly #plan: FaultPlan;
  /** What a power cut leaves. */
  readonly #durable: Buffer;
  /** What a read sees. */
  readonly #current: Buffer;
  #unflushed: Change[] = [];
  #writes = 0;
  #flushes = 0;
  #isCut = false;
  /** A write or discard that waits for another one. */
  #held: Change | undefined;

  constructor(plan: FaultPlan) {
    this.#plan = plan;
    this.size = plan.size;
    this.#durable = Buffer.alloc(plan.size);
    this.#current = Buffer.alloc(plan.size);
  }

  read(offset: number, length: number): Buffer {
    const from = this.#plan.fault === 'old data read' && !this.#isCut ? this.#durable : this.#current;
    return Buffer.from(from.subarray(offset, offset + length));
  }

  write(offset: number, bytes: Buffer): void {
    this.#writes += 1;
    for (const change of this.#spoilt({ offset, bytes })) this.#apply(change);
  }

  discard(offset: number, length: number): void {
    const { fault } = this.#plan;
    const more = fault === 'a discard too long' && offset + length < this.size ? SECTOR : 0;
    const zeroes = { offset, bytes: Buffer.alloc(length + more) };
    if (fault === 'a discard too late') this.#held = zeroes;
    else this.#apply(zeroes);
  }

  flush(): void {
    const { fault, at, cutAfterFlush } = this.#plan;
    this.#flushes += 1;
    if (cutAfterFlush !== undefined && this.#flushes === cutAfterFlush + 1) this.#cut();
    const planned = this.#flushes === at;
    if (planned && fault === 'a flush refused') throw new Refused();
    if (planned && fault === 'a flush dropped') return;
    if (planned && fault === 'a write left out of a flush') this.#unflushed.shift();
    if (planned && fault === 'the last write left out of a flush') this.#unflushed.pop();
    for (const change of this.#unflushed) change.bytes.copy(this.#durable, change.offset);
    this.#unflushed = [];
  }

  /** What is made of a write, in order. */
  #spoilt(write: Change): readonly Change[] {
    const { fault, at = 0 } = this.#plan;
    const { offset, bytes } = write;
    const planned = this.#writes === at;
    if (fault === 'a write refused' && planned) throw new Refused();
    if (fault === 'a write lost' && planned) return [];
    if (fault === 'the last sector of a write lost' && planned)
      return [{ offset, bytes: bytes.subarray(0, bytes.length - SECTOR) }];
    if (fault === 'the last block of the disk lost' && offset + bytes.length > this.size - LAST_BLOCK) return [];
    if (fault === 'a bit flipped' && planned) bytes[700 % bytes.length] = (bytes[700 % bytes.length] ?? 0) ^ 16;
    if (fault === 'a write made twice' && planned) return [write, { offset: this.size / 2, bytes }];
    if (fault === 'two writes swapped' && planned) return this.#hold(write);
    if (fault === 'two writes swapped' && this.#held !== undefined) {
      const held = this.#release();
      return [
        { offset, bytes: held.bytes },
        { offset: held.offset, bytes },
      ];
    }
    if (fault === 'two writes in the wrong order' && planned) return [write, ...this.#hold(write)];
    if (this.#held?.offset === offset) return [write, this.#release()];
    return [write];
  }

  #hold(change: Change): readonly Change[] {
    this.#held = change;
    return [];
  }

  #release(): Change {
    const held = this.#held;
    if (held === undefined) throw new Error('nothing is held back');
    this.#held = undefined;
    return held;
  }

  #apply(change: Change): void {
    change.bytes.copy(this.#current, change.offset);
    this.#unflushed.push(change);
  }

  /** What comes after this is the disk after the power is back: sound, and with all that the cut left. */
  #cut(): never {
    const survives = (): boolean => this.#plan.survives === 'some' && Math.random() < 0.5;
    for (const { offset, bytes } of this.#unflushed) {
      for (let at = 0; at < bytes.length; at += SECTOR)
        if (survives()) bytes.copy(this.#durable, offset + at, at, at + SECTOR);
    }
    this.#unflushed = [];
    this.#durable.copy(this.#current);
    this.#isCut = true;
    throw new PowerCut();
  }
}
