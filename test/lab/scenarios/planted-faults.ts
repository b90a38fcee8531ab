import { afterAll, beforeAll, expect, test } from 'vitest';
import { DiskUser } from '../../../lab/blkback-double/disk-user.ts';
import { RecordWriter, type WriterOptions } from '../../../lab/blkback-double/record-writer.ts';
import type { Progress, Verified } from '../../../lab/blkback-double/records.ts';
import { ALL_THERE, verifyRecords } from '../../../lab/blkback-double/verify-records.ts';
import { type FaultName, type FaultPlan, FAULTS } from '../../../lab/faulty-disk/fault.ts';
import { FaultyDisk } from '../../../lab/faulty-disk/faulty-disk.ts';
import { onMachine } from '../../../lab/hosts/start-script.ts';
import type { Lab } from '../scenario.ts';

const MiB = 1024 * 1024;
const SLOTS = 64;
const ROUNDS = 3;

/**
 * The stand-in for blkback is believed when it says that a disk has kept everything. So it is shown a disk that has
 * not, in every way there is, and one that has: a device of the kernel, whose server has a volatile cache.
 */
export function plantedFaults(lab: Lab): void {
  let user: DiskUser;
  beforeAll(async () => {
    user = await DiskUser.on(lab().host(0), onMachine);
    await FaultyDisk.serve(lab().host(0));
  });
  afterAll(() => FaultyDisk.stopServing(lab().host(0)));

  /** What the writer and then the verifier say of a disk of that plan. */
  async function told(plan: FaultPlan, o: WriterOptions): Promise<{ progress: Progress; verified: Verified }> {
    const disk = await FaultyDisk.start(lab().host(0), plan);
    try {
      // Eight in flight: the number of a write is about that of its record.
      const writer = await RecordWriter.start(user, disk.device, { slots: SLOTS, depth: 8, ...o });
      expect(writer.device).toEqual({ cache: true, discards: true });
      const progress = await writer.ended();
      if (plan.cutAfterFlush !== undefined) await disk.powerOn();
      return { progress, verified: await verifyRecords(user, disk.device, writer.written) };
    } finally {
      await disk.remove();
    }
  }

  const rounds = Array.from({ length: ROUNDS }, (_, round) => round + 1);

  test('a sound disk: everything is there, after a power cut, too, whatever chance leaves of the rest', async () => {
    for (const round of rounds) {
      const whole = await told({ size: 4 * MiB, survives: 'some' }, { count: 300, discards: 5 });
      expect(whole.progress).toEqual({ flushed: 300, sent: 300, failures: [], ended: true });
      expect(whole.verified).toEqual({ ...ALL_THERE, there: SLOTS, later: 0 });
      const plan = { size: 4 * MiB, cutAfterFlush: 8 + round, survives: round === 1 ? 'nothing' : 'some' } as const;
      const cut = await told(plan, { discards: round === 2 ? 3 : 0 });
      // What was under way when the connection ended failed, each request by its record.
      expect(cut.progress.failures.length).toBeGreaterThan(0);
      for (const { record } of cut.progress.failures) expect(record).toBeLessThanOrEqual(cut.progress.sent);
      expect(cut.progress.flushed).toBeGreaterThan(SLOTS);
      expect(cut.verified).toMatchObject(ALL_THERE);
    }
  });

  test.each(Object.keys(CAUGHT) as FaultName[])('%s is caught each time', async (fault) => {
    for (const round of rounds) {
      const { plan, write, by } = CAUGHT[fault];
      const { progress, verified } = await told({ size: 4 * MiB, survives: 'nothing', fault, ...plan }, write);
      const said = [
        ...progress.failures.map(({ failed, error }) => `${failed}: ${error}`),
        ...verified.faults.map((found) => `${found.fault}: ${found.there}`),
      ];
      expect(said, `${FAULTS[fault]}, round ${round}`).toContainEqual(expect.stringMatching(by));
    }
  });
}

/** So a flush has to cover every write before it. */
const ONE_BY_ONE = { depth: 1 } as const;

/** Where the fault is planted, what is written, and what has to be said. */
const CAUGHT: Readonly<
  Record<FaultName, { readonly plan: Partial<FaultPlan>; readonly write: WriterOptions; readonly by: RegExp }>
> = {
  'a flush dropped': { plan: { at: 9, cutAfterFlush: 9 }, write: {}, by: /^lost: / },
  'a write left out of a flush': { plan: { at: 9, cutAfterFlush: 9 }, write: ONE_BY_ONE, by: /^lost: / },
  'the last write left out of a flush': { plan: { at: 9, cutAfterFlush: 9 }, write: ONE_BY_ONE, by: /^lost: / },
  'two writes swapped': { plan: { at: 140 }, write: { count: 160 }, by: /^(lost|read): .* of (no )?record/ },
  'two writes in the wrong order': { plan: { at: 90 }, write: { count: 190 }, by: /^(lost|read): .* of record/ },
  'a write lost': { plan: { at: 140 }, write: { count: 160 }, by: /^(lost|read): .* of record/ },
  'the last sector of a write lost': { plan: { at: 140 }, write: { count: 160 }, by: /^(torn|read): / },
  'the last block of the disk lost': { plan: {}, write: { slots: 0, count: 1100 }, by: /^(lost|read): .*of no record/ },
  'a bit flipped': { plan: { at: 140 }, write: { count: 160 }, by: /damaged/ },
  'a write made twice': { plan: { at: 140 }, write: { count: 160 }, by: /made for/ },
  'a discard too long': { plan: {}, write: { slots: 0, count: 3000, discards: 5 }, by: /^(torn|read): .*of no record/ },
  'a discard too late': { plan: {}, write: { count: 160, discards: 5 }, by: /^(lost|read): .*of no record/ },
  'old data read': { plan: {}, write: { count: 1000 }, by: /^read: its sector 0 is/ },
  'a write refused': { plan: { at: 140 }, write: {}, by: /^write: Input\/output error/ },
  'a flush refused': { plan: { at: 9 }, write: {}, by: /^flush: Input\/output error/ },
};
