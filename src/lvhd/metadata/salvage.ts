import type { BlockIo } from '../../base/block-io.ts';
import { hasCode, type RbdsrError } from '../../base/error.ts';
import { MiB, SECTOR } from '../../base/units.ts';
import { decodeMgtHeader, MGT_HEADER_BYTES, RECORD_BYTES, RECORDS_OFFSET, SR_OFFSET } from './layout.ts';
import { decodeRecord, type MetadataRecord } from './record.ts';
import { decodeSr, type SrMetadata } from './sr-sectors.ts';

/** Far more than the 4 MiB of any real one: who names another disk by mistake does not fill memory. */
const MOST_BYTES = 64 * MiB;

/** What can still be read of a metadata volume, whatever is damaged. */
export interface Salvage {
  readonly sr?: SrMetadata;
  /** Without the deleted ones; each uuid once. */
  readonly vdis: readonly MetadataRecord[];
  /** Empty for a sound volume. */
  readonly problems: readonly RbdsrError[];
}

/**
 * Reads every part on its own. Without a header the length is not known: then every place that holds a whole record
 * counts, up to the end of the volume; what was there and deleted says so itself. A volume too small for a header has
 * nothing.
 */
export async function salvage(io: BlockIo): Promise<Salvage> {
  const problems: RbdsrError[] = [];
  const attempt = <T>(decode: () => T): T | undefined => {
    try {
      return decode();
    } catch (error) {
      if (!hasCode(error, 'metadata-corrupt')) throw error;
      problems.push(error);
      return undefined;
    }
  };
  const area = await io.read(0, Math.min(io.size, MOST_BYTES));
  const length = attempt(() => decodeMgtHeader(padded(area.subarray(0, MGT_HEADER_BYTES)), io.size));
  const sr =
    attempt(() => decodeSr(area.subarray(SR_OFFSET, RECORDS_OFFSET))) ??
    identityOf(area.subarray(SR_OFFSET, 2 * SECTOR));
  const vdis = new Map<string, MetadataRecord>();
  for (let at = RECORDS_OFFSET; at + RECORD_BYTES <= (length ?? area.length); at += RECORD_BYTES) {
    const bytes = area.subarray(at, at + RECORD_BYTES);
    if (length === undefined && !bytes.includes('<vdi>')) continue;
    const record = attempt(() => decodeRecord(bytes, at));
    if (record !== undefined && !record.deleted && !vdis.has(record.uuid)) vdis.set(record.uuid, record);
  }
  return { ...(sr === undefined ? {} : { sr }), vdis: [...vdis.values()], problems };
}

function padded(sector: Buffer): Buffer {
  return Buffer.concat([sector, Buffer.alloc(MGT_HEADER_BYTES - sector.length)]);
}

/** Uuid and allocation lie in a sector of their own: they may be whole where the names are not. */
function identityOf(sector: Buffer): SrMetadata | undefined {
  try {
    return decodeSr(sector);
  } catch (error) {
    if (!hasCode(error, 'metadata-corrupt')) throw error;
    return undefined;
  }
}
