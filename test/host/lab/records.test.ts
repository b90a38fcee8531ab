import {
  copyFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskUser } from '../../../lab/blkback-double/disk-user.ts';
import { RecordWriter, type WriterOptions } from '../../../lab/blkback-double/record-writer.ts';
import type { Written } from '../../../lab/blkback-double/records.ts';
import { ALL_THERE, verifyRecords } from '../../../lab/blkback-double/verify-records.ts';
import { runProgram } from '../../../lab/machine/program.ts';

// The stand-in for blkback on a plain file: what it wrote is verified, and every way to spoil it afterwards shows.
// What only a device can do wrong, with a cache and a power cut, is in test/lab/scenarios/planted-faults.ts.

const MiB = 1024 * 1024;
const RECORD = 4096;
const SLOTS = 64;

let folder: string;
let disk: string;
let user: DiskUser;
beforeEach(async () => {
  folder = mkdtempSync('/var/tmp/rbdsr-records-');
  disk = join(folder, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 4 * MiB);
  user = await DiskUser.on({ exec: runProgram });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function write(o: WriterOptions = {}): Promise<Written> {
  const writer = await RecordWriter.start(user, disk, { slots: SLOTS, count: 500, ...o });
  expect(await writer.ended()).toMatchObject({ failures: [], ended: true });
  return writer.written;
}

/** Bytes of the disk, read past nothing: the writer has closed it. */
function bytesAt(place: number, length: number, from = disk): Buffer {
  const fd = openSync(from, 'r');
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, place);
  closeSync(fd);
  return bytes;
}

function spoil(place: number, bytes: Uint8Array): void {
  const fd = openSync(disk, 'r+');
  writeSync(fd, bytes, 0, bytes.length, place);
  closeSync(fd);
}

/** Where that record lies, by what its first sector says: magic, run, number and place, 8 bytes each. */
function placeOf(record: number, layout: Written): number {
  for (let place = 0; place < layout.span; place += layout.record) {
    const head = bytesAt(place, 32);
    if (head.readBigUInt64LE(8) === BigInt(layout.run) && head.readBigUInt64LE(16) === BigInt(record)) return place;
  }
  throw new Error(`record ${record} is nowhere`);
}

test('a writer that is sound: every place has the record that was flushed there last', async () => {
  const written = await write();
  expect(written).toMatchObject({ flushed: 500, sent: 500, slots: SLOTS, span: 4 * MiB });
  expect(await verifyRecords(user, disk, written)).toEqual({ ...ALL_THERE, there: SLOTS, later: 0 });
});

test('places that are discarded before they are written, and records of several pages', async () => {
  const written = await write({ discards: 7, record: 5 * 4096 });
  expect(await verifyRecords(user, disk, written)).toEqual({ ...ALL_THERE, there: SLOTS, later: 0 });
});

test('it writes until it is told to stop, and somebody else goes on where it was', async () => {
  const writer = await RecordWriter.start(user, disk, { slots: SLOTS });
  await writer.hasFlushed(200);
  const first = await writer.stop();
  expect(first.flushed).toBe(first.sent);
  const written = await write({ after: writer.written, count: 100 });
  expect(written).toMatchObject({ flushed: first.flushed + 100, run: writer.written.run });
  expect(await verifyRecords(user, disk, written)).toEqual({ ...ALL_THERE, there: SLOTS, later: 0 });
});

test('what was never flushed may be there or not; what was never sent may not', async () => {
  const written = await write();
  const cut = { ...written, flushed: 480 };
  expect(await verifyRecords(user, disk, cut)).toEqual({ ...ALL_THERE, there: SLOTS - 20, later: 20 });
  // Half of a record that was never flushed, half of the one that was.
  const place = placeOf(490, written);
  const before = join(folder, 'before');
  copyFileSync(disk, before);
  await write({ after: { ...written, flushed: 420 }, count: 6 });
  expect(placeOf(426, written)).toBe(place);
  spoil(place + RECORD / 2, bytesAt(place + RECORD / 2, RECORD / 2, before));
  for (const record of [421, 422, 423, 424, 425])
    spoil(placeOf(record, written), bytesAt(placeOf(record, written), RECORD, before));
  expect(await verifyRecords(user, disk, cut)).toEqual({ ...ALL_THERE, there: SLOTS - 20, later: 20 });

  const early = await verifyRecords(user, disk, { ...cut, sent: 495 });
  expect(early.faults.map(({ record }) => record)).toEqual(expect.arrayContaining([432, 433, 434, 435, 436]));
  expect(early.faultCount).toBe(5);
});

const SPOILT: Readonly<
  Record<string, { how: (written: Written) => void; fault: string; record: number; there: RegExp }>
> = {
  'a record that is gone': {
    how: (written) => spoil(placeOf(500, written), Buffer.alloc(RECORD)),
    fault: 'lost',
    record: 500,
    there: /of no record/,
  },
  'the last sector of a record that is gone': {
    how: (written) => spoil(placeOf(470, written) + RECORD - 512, Buffer.alloc(512)),
    fault: 'torn',
    record: 470,
    there: /of no record/,
  },
  'a bit that is another': {
    how: (written) => {
      const at = placeOf(470, written) + 1000;
      spoil(at, Buffer.from([(bytesAt(at, 1)[0] ?? 0) ^ 4]));
    },
    fault: 'torn',
    record: 470,
    there: /record 470 and damaged/,
  },
  'a record at the place of another': {
    how: (written) => spoil(placeOf(470, written), bytesAt(placeOf(471, written), RECORD)),
    fault: 'lost',
    record: 470,
    there: /record 471, made for/,
  },
  'a record a second time, where none belongs': {
    how: (written) => {
      let free = 0;
      while (bytesAt(free, RECORD).some((byte) => byte !== 0)) free += RECORD;
      spoil(free, bytesAt(placeOf(471, written), RECORD));
    },
    fault: 'from nowhere',
    record: 471,
    there: /record 471, made for/,
  },
};

test.each(Object.entries(SPOILT))('%s is found', async (_name, { how, fault, record, there }) => {
  const written = await write();
  how(written);
  const found = await verifyRecords(user, disk, written);
  expect(found.faults).toEqual([expect.objectContaining({ fault, record, there: expect.stringMatching(there) })]);
  expect(found.there).toBe(fault === 'from nowhere' ? SLOTS : SLOTS - 1);
});

test('a record whose place has an older one again is lost', async () => {
  const first = await write({ count: 400 });
  const before = join(folder, 'before');
  copyFileSync(disk, before);
  const written = await write({ after: first, count: 100 });
  const place = placeOf(480, written);
  spoil(place, bytesAt(place, RECORD, before));
  const { faults } = await verifyRecords(user, disk, written);
  expect(faults).toEqual([{ fault: 'lost', record: 480, place, there: 'a sector of record 352' }]);
});

test('two records that changed places are both lost', async () => {
  const written = await write();
  const places = [placeOf(490, written), placeOf(491, written)] as const;
  const [one, other] = [bytesAt(places[0], RECORD), bytesAt(places[1], RECORD)];
  spoil(places[0], other);
  spoil(places[1], one);
  const { faults } = await verifyRecords(user, disk, written);
  expect(faults.map(({ fault, record }) => `${fault} ${record}`).sort()).toEqual(['lost 490', 'lost 491']);
});

test('a request that fails ends the run, and is told with its record', async () => {
  // Writes behind the first 2 MiB fail with EFBIG.
  const limited = ['bash', '-c', `trap '' XFSZ; ulimit -f 2048; exec "$@"`, 'bash'];
  user = await DiskUser.on({ exec: (argv, o) => runProgram([...limited, ...argv], o) });
  const writer = await RecordWriter.start(user, disk, { slots: 1024, flush: 1 });
  const { failures, flushed, sent } = await writer.ended();
  expect(failures.length).toBeGreaterThan(0);
  for (const failure of failures) {
    expect(failure).toMatchObject({ failed: 'write', error: 'File too large' });
    expect(failure.place).toBeGreaterThanOrEqual(2 * MiB);
    expect(failure.record).toBeGreaterThan(flushed);
    expect(failure.record).toBeLessThanOrEqual(sent);
  }
  expect(await verifyRecords(user, disk, writer.written)).toMatchObject(ALL_THERE);
});

test('noise is on the disk where it was put, and only there', async () => {
  const [noise, zeroes] = [await user.putNoise(disk, MiB, 512), await user.md5(disk, 512)];
  expect(await user.md5(disk, MiB, 512)).toBe(noise);
  expect(await user.md5(disk, 512, MiB + 512)).toBe(zeroes);
  await user.discard(disk, MiB, MiB);
  expect(await user.md5(disk, MiB, MiB)).toBe(await user.md5(disk, MiB, 2 * MiB));
  await user.put(disk, Buffer.from('words'.padEnd(512, '.')), MiB);
  expect(await user.get(disk, 512, MiB)).toMatch(/^words\.+$/);
  await expect(user.get(disk, 512, 4 * MiB)).rejects.toThrow(/ends at 4194304/);
});
