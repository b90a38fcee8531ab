/**
 * What a faulty disk does wrong; each once, at the write or flush of that number (`Fault.at`), unless it says
 * otherwise.
 */
export const FAULTS = {
  'a flush dropped': 'a flush is answered and nothing made durable',
  'a write left out of a flush': 'a flush makes durable what was written, but for the oldest of it',
  'the last write left out of a flush': 'a flush makes durable what was written, but for the newest of it',
  'two writes swapped': "each of two writes has the other's bytes",
  'two writes in the wrong order': 'a write is made again after the next one to the same place',
  'a write lost': 'a write is answered and not made',
  'the last sector of a write lost': 'a write is made but for its last sector',
  'the last block of the disk lost': 'no write to the last 4 KiB is made',
  'a bit flipped': 'a write has one bit that is another',
  'a write made twice': 'a write is made at its place and in the middle of the disk, too',
  'a discard too long': 'every discard takes the sector behind its range, too',
  'a discard too late': 'a discard is made when the next write to its place has been answered',
  'old data read': 'every read sees what was flushed last instead of what was written last',
  'a write refused': 'a write is answered with an I/O error',
  'a flush refused': 'a flush is answered with an I/O error',
} as const satisfies Readonly<Record<string, string>>;

export type FaultName = keyof typeof FAULTS;

/** A disk whose cache is volatile, and what befalls it. */
export interface FaultPlan {
  /** Bytes. */
  readonly size: number;
  readonly fault?: FaultName;
  /** The number of the write or flush that goes wrong; the first is 1. */
  readonly at?: number;
  /**
   * The power goes when the flush behind the one of this number arrives: the connection ends, and of what was written
   * and not flushed `survives` is there afterwards.
   */
  readonly cutAfterFlush?: number;
  /** `some`: each sector or not, as chance has it, which is what a sound disk may do. */
  readonly survives: 'some' | 'nothing';
}
