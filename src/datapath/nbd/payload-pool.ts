import { alignedBuffer } from '../../system/io/aligned-buffer.ts';

/**
 * Page-aligned buffers for the payloads of writes. Fresh memory of a mebibyte costs 256 page faults, so buffers that
 * came back are used again; what is kept is bounded.
 */
export class PayloadPool {
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  take(length: number): Buffer {
    const capacity = capacityFor(length);
    const buffer = this.#free.get(capacity)?.pop();
    if (buffer === undefined) return alignedBuffer(capacity).subarray(0, length);
    this.#kept -= capacity;
    return buffer.length === length ? buffer : Buffer.from(buffer.buffer, buffer.byteOffset, length);
  }

  /** `payload` came from `take` and nobody reads it any more. */
  give(payload: Buffer): void {
    const capacity = capacityFor(payload.length);
    if (this.#kept + capacity > KEPT_AT_MOST) return;
    const list = this.#free.get(capacity);
    if (list === undefined) this.#free.set(capacity, [payload]);
    else list.push(payload);
    this.#kept += capacity;
  }
}

const KEPT_AT_MOST = 8 * 1024 * 1024;

/** The next power of two, 4 KiB at least. */
function capacityFor(length: number): number {
  return length <= 4096 ? 4096 : 2 ** (32 - Math.clz32(length - 1));
}
