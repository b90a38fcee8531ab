import type { BlockIo } from '../base/block-io.ts';
import { type VdiUuid, vdiUuid } from '../base/ids.ts';
import { lvNamed, type LvReport, type VgReport } from '../lvm/report.ts';
import { CBT_LOG, cbtLogName } from './names.ts';

/**
 * The log of changed blocks beside a disk, `<vdi>.cbtlog`: a header of 48 bytes, little-endian (blktap
 * `cbt-util-priv.h`), then a bit for each 64 KiB of the disk, the least significant of a byte first. One that is set
 * has changed since the snapshot whose log is the parent.
 */
export interface CbtLog {
  /** The log before and after this one, by its disk. */
  readonly parent: VdiUuid | undefined;
  readonly child: VdiUuid | undefined;
  /** False while somebody tracks, and for good where that was cut short. */
  readonly consistent: boolean;
  /** Bytes of the disk. */
  readonly sizeBytes: number;
}

const HEADER_OF_LOG = 48;
const BLOCK_BYTES = 64 * 1024;
const CHILD_AT = 16;
const NONE = Buffer.alloc(16);

export function cbtLogOf(report: VgReport, vdi: VdiUuid): LvReport | undefined {
  return lvNamed(report, cbtLogName(vdi));
}

/** The disks that have one, by uuid. */
export function cbtLogs(report: VgReport): string[] {
  return report.lvs.flatMap(({ name }) => (name.endsWith(CBT_LOG) ? [name.slice(0, -CBT_LOG.length)] : []));
}

/** Nothing in it is checked by a sum or a magic number: whatever lies there is a log. */
export async function readCbtLog(io: BlockIo): Promise<CbtLog> {
  const header = await io.read(0, HEADER_OF_LOG);
  return {
    parent: uuidAt(header, 0),
    child: uuidAt(header, CHILD_AT),
    consistent: header.readInt32LE(32) !== 0,
    sizeBytes: Number(header.readBigUInt64LE(40)),
  };
}

export function writeParent(io: BlockIo, parent: VdiUuid | undefined): Promise<void> {
  return io.write(0, bytesOf(parent));
}

export function writeChild(io: BlockIo, child: VdiUuid | undefined): Promise<void> {
  return io.write(CHILD_AT, bytesOf(child));
}

/**
 * What `from` says has changed has changed for `to`, too, which is of the same disk or of one that has grown since. A
 * log that cannot be trusted says that everything has.
 */
export async function addChanges(from: BlockIo, to: BlockIo): Promise<void> {
  const [old, log] = [await readCbtLog(from), await readCbtLog(to)];
  const changed = await to.read(HEADER_OF_LOG, bitmapBytes(log, to));
  const more = old.consistent ? await from.read(HEADER_OF_LOG, bitmapBytes(old, from)) : undefined;
  for (const [index, byte] of changed.entries())
    changed[index] = byte | (more === undefined ? 0xff : (more[index] ?? 0));
  await to.write(HEADER_OF_LOG, changed);
}

/** No more than fits: a log that says otherwise is damaged, and longer than its volume. */
function bitmapBytes({ sizeBytes }: CbtLog, { size }: BlockIo): number {
  return Math.min(Math.ceil(sizeBytes / BLOCK_BYTES / 8), size - HEADER_OF_LOG);
}

function uuidAt(header: Buffer, at: number): VdiUuid | undefined {
  const hex = header.toString('hex', at, at + 16);
  if (header.subarray(at, at + 16).equals(NONE)) return undefined;
  return vdiUuid(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
}

function bytesOf(uuid: VdiUuid | undefined): Buffer {
  return uuid === undefined ? NONE : Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
