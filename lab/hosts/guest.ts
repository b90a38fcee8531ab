export interface GuestOptions {
  /** A block device of the host; the guest sees it as /dev/xvda. */
  readonly device: string;
  readonly writable: boolean;
  /** For busybox sh; what it prints is the guest's output. */
  readonly script: string;
  readonly memoryMiB?: number;
  readonly name?: string;
}

export interface GuestOutcome {
  /** The script's exit code. */
  readonly code: number;
  readonly output: string;
}

/** Something that has one disk, runs a script on it and ends. */
export interface Guest {
  readonly name: string;
  /** Waits for the script's end. */
  finished(timeoutMs?: number): Promise<GuestOutcome>;
  /** Everything it printed so far. */
  console(): Promise<string>;
  /** Off and gone, its disk released; safe to repeat. */
  destroy(): Promise<void>;
}
