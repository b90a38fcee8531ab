/** How a run lays its records on a disk (program/ring.h); every one who looks at them has to know. */
export interface RecordLayout {
  readonly run: number;
  /** Bytes of each. */
  readonly record: number;
  /** Bytes of the disk, from its start, over which they are laid. */
  readonly span: number;
  /** As many records are on the disk at once; then the oldest's place is taken. */
  readonly slots: number;
  /** The place of every so many-th record is discarded before it is written; 0: of none. */
  readonly discards: number;
}

/** What is known of a run of records: enough to verify them and to go on with it, on this host or another. */
export interface Written extends RecordLayout {
  /** Every record to this one was flushed: it is there, unless a later one has its place. */
  readonly flushed: number;
  /** No later one was ever sent; undefined where the writer vanished with its host. */
  readonly sent: number | undefined;
}

/** A request that failed, as blkback would have told its guest. */
export interface FailedRequest {
  readonly failed: 'write' | 'read' | 'flush' | 'discard';
  /** The record it was for; of a flush the last that it was to cover. */
  readonly record: number;
  /** Bytes from the start of the disk. */
  readonly place: number;
  readonly error: string;
}

/** What a writer has said so far. */
export interface Progress {
  readonly flushed: number;
  readonly sent: number;
  readonly failures: readonly FailedRequest[];
  /** It has said its last. */
  readonly ended: boolean;
}

/** A place of the disk that does not hold what it must. */
export interface RecordFault {
  readonly fault: 'lost' | 'torn' | 'from nowhere';
  readonly record: number;
  readonly place: number;
  /** What was found instead. */
  readonly there: string;
}

export interface Verified {
  /** Places that hold the record that was flushed there last. */
  readonly there: number;
  /** Places that hold, in whole or in part, a later one. */
  readonly later: number;
  /** The first of them; `faultCount` is of all. */
  readonly faults: readonly RecordFault[];
  readonly faultCount: number;
}

/** As the program takes them (program/main.c). */
export function optionWords(options: Readonly<Record<string, number>>): string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}
