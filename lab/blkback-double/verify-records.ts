import type { DiskUser } from './disk-user.ts';
import { optionWords, type RecordFault, type Verified, type Written } from './records.ts';

/** Reads the whole disk, on whatever host has it now, and tells whether it holds what was written to it. */
export async function verifyRecords(user: DiskUser, device: string, written: Written): Promise<Verified> {
  const { run, record, span, slots, discards, flushed, sent } = written;
  const words = optionWords({ run, record, span, slots, discards, flushed, sent: sent ?? 0 });
  const { stdout, stderr } = await user.exec([user.program, 'verify', device, ...words], { timeoutMs: 300_000 });
  const lines = stdout.split('\n').filter((line) => line !== '');
  const last = lines.pop() ?? '';
  if (!last.includes('"ended":true')) throw new Error(`the records on ${device} could not be verified: ${stderr}`);
  const { there, later, faults } = JSON.parse(last) as { there: number; later: number; faults: number };
  return { there, later, faults: lines.map((line) => JSON.parse(line) as RecordFault), faultCount: faults };
}

/** What a test expects of it: nothing lost, torn, or from nowhere. */
export const ALL_THERE = { faults: [], faultCount: 0 } as const;
