import { closeSync, constants, openSync, readSync } from 'node:fs';

/**
 * What the kernel's log says about why a mapping failed. The log is host-wide: it only explains a failure that already
 * happened.
 */
export interface KernelLog {
  /** Messages of rbd and libceph that came after the log was opened, oldest first. */
  lines(): readonly string[];
  close(): void;
}

/**
 * Opens `/dev/kmsg` and skips what is there already. A read returns one record, "6,1234,5678901,-;message", and EAGAIN
 * at the end (Documentation/ABI/testing/dev-kmsg). Where it cannot be read (a container) there are no lines.
 */
export function openKernelLog(path = '/dev/kmsg'): KernelLog {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    readRecords(fd);
  } catch {
    // No log, no explanation: the errno still names the failure.
  }
  return {
    lines: () => (fd === undefined ? [] : readRecords(fd).map(messageOfRecord).filter(isAboutCeph)),
    close: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** The message of a record without its prefix and its continuation lines (` KEY=value`). */
export function messageOfRecord(record: string): string {
  const text = record.slice(record.indexOf(';') + 1);
  return text.split('\n')[0] ?? '';
}

const MAX_RECORDS = 20_000;
const RECORD_BYTES = 8192;

function readRecords(fd: number): readonly string[] {
  const buffer = Buffer.alloc(RECORD_BYTES);
  const records: string[] = [];
  for (let count = 0; count < MAX_RECORDS; count += 1) {
    try {
      const length = readSync(fd, buffer, 0, RECORD_BYTES, null);
      if (length === 0) break;
      records.push(buffer.toString('utf8', 0, length));
    } catch (error) {
      // EPIPE: the ring has overwritten records; the next read goes on with the oldest that is left.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') break;
    }
  }
  return records;
}

function isAboutCeph(message: string): boolean {
  return /^(?:libceph|rbd)\b/.test(message);
}
