import type { BlockIo } from '../base/block-io.ts';
import { MiB, SECTOR } from '../base/units.ts';
import { readPvLabel } from './lvm-label.ts';
import { SIGNATURES } from './signatures.ts';

/** What is on a device. Only `blank` may ever be formatted; a `vg` may be ours. */
export type Survey =
  | { readonly kind: 'blank' }
  | { readonly kind: 'vg'; readonly vgName: string; readonly vgUuid: string; readonly pvUuid: string }
  /** `what` completes "the image holds ..."; `offset` is the byte where it was seen. */
  | { readonly kind: 'foreign'; readonly what: string; readonly offset: number };

/** How much of each end must be zero before a device is called blank. */
export const SURVEYED_BYTES = 16 * MiB;

/**
 * Looks for an LVM2 label, partition tables and the signatures of other software, then for any byte that is not zero in
 * the first and the last 16 MiB. Reads at most 32 MiB; writes nothing.
 */
export async function surveyDevice(io: BlockIo): Promise<Survey> {
  const label = await readPvLabel(io);
  if (label !== undefined) {
    const { vgName, vgUuid, pvUuid, offset, damage } = label;
    if (damage !== undefined) return { kind: 'foreign', what: `a damaged LVM physical volume (${damage})`, offset };
    if (vgName === undefined || vgUuid === undefined)
      return { kind: 'foreign', what: 'an LVM physical volume without a volume group', offset };
    return { kind: 'vg', vgName, vgUuid, pvUuid };
  }
  const ends = await readEnds(io);
  return partitionTable(ends) ?? knownSignature(ends, io.size) ?? unknownData(ends) ?? { kind: 'blank' };
}

/**
 * Makes a device blank again whose volume group has just been removed: LVM leaves its metadata, and the volumes their
 * data.
 */
export async function blankEnds(io: BlockIo): Promise<void> {
  for (const { start, data } of await readEnds(io)) {
    if (!isZero(data)) await io.write(start, ZEROES.subarray(0, data.length));
  }
  await io.flush();
}

interface End {
  readonly start: number;
  readonly data: Buffer;
}

/**
 * The two ends in pieces of 1 MiB; the survey never holds more than they are. Overlapping ends of a small device are
 * read once.
 */
async function readEnds(io: BlockIo): Promise<readonly End[]> {
  const head = Math.min(SURVEYED_BYTES, io.size);
  const tail = Math.max(head, io.size - SURVEYED_BYTES);
  const ranges: readonly [number, number][] =
    tail < io.size
      ? [
          [0, head],
          [tail, io.size],
        ]
      : [[0, head]];
  const ends: End[] = [];
  for (const [from, to] of ranges) {
    for (let start = from; start < to; start += MiB)
      ends.push({ start, data: await io.read(start, Math.min(MiB, to - start)) });
  }
  return ends;
}

/** GPT (UEFI 2.x, 5.3): "EFI PART" in sector 1 or the last one. MBR: 55 AA at 510 with a used entry or boot code. */
function partitionTable(ends: readonly End[]): Survey | undefined {
  if (bytesAt(ends, SECTOR, 8)?.toString('latin1') === 'EFI PART')
    return { kind: 'foreign', what: 'a GPT partition table', offset: SECTOR };
  const last = ends.at(-1);
  const backup = last === undefined ? 0 : last.start + last.data.length - SECTOR;
  if (bytesAt(ends, backup, 8)?.toString('latin1') === 'EFI PART')
    return { kind: 'foreign', what: 'a GPT partition table', offset: backup };
  const mbr = bytesAt(ends, 0, SECTOR);
  if (mbr === undefined || mbr[510] !== 0x55 || mbr[511] !== 0xaa) return undefined;
  const partitions = [446, 462, 478, 494].filter(
    (entry) => (mbr[entry + 4] ?? 0) !== 0 && [0x00, 0x80].includes(mbr[entry] ?? 1),
  );
  return partitions.length === 0 ? undefined : { kind: 'foreign', what: 'an MBR partition table', offset: 446 };
}

function knownSignature(ends: readonly End[], size: number): Survey | undefined {
  for (const { what, offset, magic } of SIGNATURES) {
    const place = offset < 0 ? size + offset : offset;
    if (bytesAt(ends, place, magic.length)?.equals(magic) === true) return { kind: 'foreign', what, offset: place };
  }
  return undefined;
}

function unknownData(ends: readonly End[]): Survey | undefined {
  for (const { start, data } of ends) {
    if (isZero(data)) continue;
    return { kind: 'foreign', what: 'data of an unknown kind', offset: start + data.findIndex((byte) => byte !== 0) };
  }
  return undefined;
}

const ZEROES = Buffer.alloc(MiB);

/** Of at most 1 MiB. */
function isZero(data: Buffer): boolean {
  return data.equals(ZEROES.subarray(0, data.length));
}

/** `length` bytes at `offset` of the device, or undefined where they were not read in one piece. */
function bytesAt(ends: readonly End[], offset: number, length: number): Buffer | undefined {
  const end = ends.find(({ start, data }) => offset >= start && offset + length <= start + data.length);
  return end?.data.subarray(offset - end.start, offset - end.start + length);
}
