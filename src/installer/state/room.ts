import { rmSync } from 'node:fs';
import { writeFileAtomic } from '../../system/files.ts';
import { type Host, STATE_DIR } from '../host.ts';

/**
 * Taken before the first change and given back at the end, or when one fails: a disk that fills up meanwhile leaves
 * room for taking back what was done, which writes too.
 */
export function reserveRoom(host: Host): void {
  writeFileAtomic(roomOf(host), Buffer.alloc(ROOM_BYTES), 0o600);
}

export function freeRoom(host: Host): void {
  rmSync(roomOf(host), { force: true });
}

/** Several times what the files of one host take: the record, which is written anew at every step, and one file. */
const ROOM_BYTES = 512 * 1024;

function roomOf(host: Host): string {
  return host.at(`${STATE_DIR}/room`);
}
