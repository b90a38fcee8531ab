import type { BlockIo } from '../../base/block-io.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { runSteps } from '../../system/running-steps.ts';
import {
  metadataCorrupt,
  decodeMgtHeader,
  MGT_HEADER_BYTES,
  RECORD_BYTES,
  RECORDS_OFFSET,
  SR_NAMES_OFFSET,
  SR_OFFSET,
} from './layout.ts';
import { additionSteps, creationSteps, removalSteps } from './metadata-writes.ts';
import type { MetadataWrite } from './metadata-writes.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { VdiMetadata, MetadataRecord } from './record.ts';
import { decodeSr, encodeSr, encodeSrNames } from './sr-sectors.ts';
import type { SrMetadata } from './sr-sectors.ts';

export interface MetadataContent {
  readonly sr: SrMetadata;
  /** Without the deleted ones, in volume order. */
  readonly vdis: readonly MetadataRecord[];
  /** What a tolerant read had to leave out; always empty after a strict one. */
  readonly problems: readonly RbdsrError[];
}

/**
 * The metadata volume on a device of whole sectors. There is no checksum and no second copy; each verb reads all, then
 * writes in an order in which a cut leaves a readable volume (metadata-writes.ts); what is not there is one write, and
 * leaves the old or the new. The caller holds the SR lock.
 *
 * A record is 1024 bytes at a multiple of 1024, so it never crosses an extent or a RADOS object.
 */
export class MetadataVolume {
  readonly #io: BlockIo;
  readonly #write: MetadataWrite = async (offset, sectors) => {
    if (offset % SECTOR !== 0 || sectors.length % SECTOR !== 0) {
      throw new RbdsrError('internal', { what: `metadata write at ${offset} is not of whole sectors` });
    }
    await this.#io.write(offset, sectors);
    await this.#io.flush();
  };

  constructor(io: BlockIo) {
    this.#io = io;
  }

  /** Overwrites whatever the volume held. */
  async create(sr: SrMetadata, vdis: readonly VdiMetadata[] = []): Promise<void> {
    const body = Buffer.concat([encodeSr(sr), ...vdis.map((vdi) => encodeRecord(vdi, { deleted: false }))]);
    this.#refuseBeyondEnd(SR_OFFSET + body.length);
    await runSteps(creationSteps, { write: this.#write, body });
  }

  /**
   * Strict: any damage is 'metadata-corrupt'. Tolerant: damaged records are left out and listed; header and SR sectors
   * must be whole.
   */
  async read(options: { readonly tolerant?: boolean } = {}): Promise<MetadataContent> {
    const area = await this.#area();
    const problems: RbdsrError[] = [];
    const vdis: MetadataRecord[] = [];
    for (const [offset, bytes] of slots(area)) {
      try {
        const record = decodeRecord(bytes, offset);
        if (!record.deleted) vdis.push(record);
      } catch (error) {
        if (options.tolerant !== true || !hasCode(error, 'metadata-corrupt')) throw error;
        problems.push(error);
      }
    }
    return { sr: decodeSr(area.subarray(SR_OFFSET, RECORDS_OFFSET)), vdis, problems };
  }

  /**
   * 'sr-full' where one more VDI would not fit: call before the first write of an operation that will add one. Writes
   * nothing.
   */
  async checkSpace(): Promise<void> {
    const area = await this.#area();
    if (allRecords(area).some((record) => record.deleted)) return;
    this.#refuseBeyondEnd(area.length + RECORD_BYTES);
  }

  /** Into the last deleted slot if there is one, else at the end. 'vdi-exists' where the uuid has a record. */
  async add(vdi: VdiMetadata): Promise<void> {
    const area = await this.#area();
    const records = allRecords(area);
    if (records.some((record) => !record.deleted && record.uuid === vdi.uuid)) {
      throw new RbdsrError('vdi-exists', { what: `VDI ${vdi.uuid} already has a metadata record` });
    }
    const free = records.findLast((record) => record.deleted)?.offset;
    if (free !== undefined) {
      await this.#write(free, encodeRecord(vdi, { deleted: false, offset: free }));
      return;
    }
    this.#refuseBeyondEnd(area.length + RECORD_BYTES);
    await runSteps(additionSteps, { write: this.#write, vdi, length: area.length });
  }

  /** False where there is no record of the VDI. */
  async delete(uuid: string): Promise<boolean> {
    const area = await this.#area();
    const record = allRecords(area).find((entry) => !entry.deleted && entry.uuid === uuid);
    if (record === undefined) return false;
    await runSteps(removalSteps, { write: this.#write, record, length: area.length });
    return true;
  }

  /** 'vdi-missing' where there is no record of the VDI. */
  async updateVdi(uuid: string, changes: Partial<Omit<VdiMetadata, 'uuid'>>): Promise<void> {
    const record = allRecords(await this.#area()).find((entry) => !entry.deleted && entry.uuid === uuid);
    if (record === undefined) throw new RbdsrError('vdi-missing', { what: `VDI ${uuid} has no metadata record` });
    await this.#write(
      record.offset,
      encodeRecord({ ...record, ...changes }, { deleted: false, offset: record.offset }),
    );
  }

  async updateSr(names: Pick<SrMetadata, 'nameLabel' | 'nameDescription'>): Promise<void> {
    await this.#area();
    await this.#write(SR_NAMES_OFFSET, encodeSrNames(names));
  }

  async #area(): Promise<Buffer> {
    if (this.#io.size < RECORDS_OFFSET)
      throw metadataCorrupt('volume', 0, `at least ${RECORDS_OFFSET} bytes`, `${this.#io.size} bytes`);
    const length = decodeMgtHeader(await this.#io.read(0, MGT_HEADER_BYTES), this.#io.size);
    return this.#io.read(0, length);
  }

  #refuseBeyondEnd(length: number): void {
    if (length <= this.#io.size) return;
    throw new RbdsrError('sr-full', {
      what: 'the metadata volume has no room for another disk',
      found: `${(this.#io.size - RECORDS_OFFSET) / RECORD_BYTES} records, all in use`,
      todo: 'Delete disks or snapshots of this SR.',
    });
  }
}

function* slots(area: Buffer): Generator<[number, Buffer]> {
  for (let offset = RECORDS_OFFSET; offset < area.length; offset += RECORD_BYTES) {
    yield [offset, area.subarray(offset, offset + RECORD_BYTES)];
  }
}

function allRecords(area: Buffer): readonly MetadataRecord[] {
  return [...slots(area)].map(([offset, bytes]) => decodeRecord(bytes, offset));
}
