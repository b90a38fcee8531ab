import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Deadline } from '../../../src/base/deadline.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';

// Takes the lock so many times, one right after the other, and says so each time; it has it for some milliseconds.
const [path = '', queue = '', said = '', who = '', times = '1', ms = '0'] = process.argv.slice(2);
for (let n = 0; n < Number(times); n += 1) {
  const lock = await takeRecordLock(path, { wait: true, deadline: Deadline.after(60_000), queue });
  appendFileSync(said, `${who}\n`);
  await pause(Number(ms));
  await lock.release();
}
