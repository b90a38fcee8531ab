import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { encodeMgtHeader, MGT_HEADER_BYTES, RECORD_BYTES, SR_OFFSET } from './layout.ts';
import { encodeRecord } from './record.ts';
import type { MetadataRecord, VdiMetadata } from './record.ts';

/** What takes more than one write to the metadata volume. Each is flushed before the next. */
export type MetadataWrite = (offset: number, sectors: Buffer) => Promise<void>;

/** Of the whole volume, over whatever it held. */
interface Creation {
  readonly write: MetadataWrite;
  /** SR sectors and records. */
  readonly body: Buffer;
}

/** Of a record behind the last. */
interface Addition {
  readonly write: MetadataWrite;
  readonly vdi: VdiMetadata;
  /** Bytes in use before it. */
  readonly length: number;
}

interface Removal {
  readonly write: MetadataWrite;
  readonly record: MetadataRecord;
  /** Bytes in use before it. */
  readonly length: number;
}

const createdAgain: Mending = {
  by: ['again', 'sr_attach'],
  says: 'the next sr_attach, or `rbdsr mgt rebuild`, creates it anew',
};

export const creationSteps: readonly Step<Creation>[] = [
  step('mgt.create.header-cleared', ({ write }) => write(0, Buffer.alloc(MGT_HEADER_BYTES)), {
    does: 'zeroes over the header',
    leaves: { id: 'metadata-cleared', says: 'an empty header: no metadata' },
    mendedBy: createdAgain,
  }),
  step('mgt.create.body-written', ({ write, body }) => write(SR_OFFSET, body), {
    does: 'SR sectors and records',
    leaves: { id: 'metadata-uncounted', says: 'the same' },
    mendedBy: createdAgain,
  }),
  lastStep(({ write, body }) => write(0, encodeMgtHeader(SR_OFFSET + body.length)), 'the header'),
];

export const additionSteps: readonly Step<Addition>[] = [
  step('mgt.add.record-written', ({ write, vdi, length }) => write(length, encodeRecord(vdi, { deleted: false })), {
    does: 'the record, behind the last',
    leaves: { id: 'record-uncounted', says: 'the record beyond the length, as if never added' },
    mendedBy: {
      by: ['sr_scan'],
      says: 'as its disk is, by the table of vdi_create; the next record is written over it',
    },
  }),
  lastStep(({ write, length }) => write(0, encodeMgtHeader(length + RECORD_BYTES)), 'the header'),
];

export const removalSteps: readonly Step<Removal>[] = [
  step('mgt.delete.record-written', markDeleted, {
    does: 'the record with deleted 1',
    leaves: { id: 'record-deleted', says: 'deleted; its slot is not given back' },
    mendedBy: {
      by: ['again', 'sr_scan'],
      says: 'as its disk is, by the table of vdi_delete; a later record takes the slot',
    },
  }),
  lastStep(giveBack, 'the header, if it was the last record'),
];

function markDeleted({ write, record }: Removal): Promise<void> {
  return write(record.offset, encodeRecord(record, { deleted: true, offset: record.offset }));
}

async function giveBack({ write, record, length }: Removal): Promise<void> {
  if (record.offset + RECORD_BYTES === length) await write(0, encodeMgtHeader(record.offset));
}
