import type { SrUuid } from '../base/ids.ts';
import { formatSpec } from '../ceph/image/image-spec.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { type AttachedRecord, readAttachedRecord } from './attached-record.ts';
import type { AttachedSr } from './attached-sr.ts';
import { unavailable } from './sr-unavailable.ts';
import { srOf } from './work/subject.ts';
import type { SrWork } from './work/work.ts';
import { krbdOf } from './image/krbd-of-host.ts';

/** An SR as sr_attach left it: which image it is, and where that is mapped. */
export interface MappedSr {
  readonly uuid: SrUuid;
  readonly mapping: Mapping;
  readonly record: AttachedRecord;
}

/**
 * The SR of the call as sr_attach left it: no network, no xapi, no program. 'sr-unavailable' when it is not attached on
 * this host or its image is no longer mapped.
 */
export function mappedSr(work: SrWork): MappedSr {
  const uuid = srOf(work);
  const noted = notedSr(work, uuid);
  if (noted === undefined) throw unavailable(uuid, 'is not attached on this host', 'Plug its PBD: xe pbd-plug.');
  const { record, mapping } = noted;
  if (mapping === undefined) {
    throw unavailable(uuid, `has lost its image: ${formatSpec(record.spec)} is not mapped`, 'Unplug and plug its PBD.');
  }
  return { uuid, mapping, record };
}

/** The same with what reads and changes it; the code of that is loaded only for an SR that is there. */
export async function openAttachedSr(work: SrWork): Promise<AttachedSr> {
  const { uuid, mapping, record } = mappedSr(work);
  const { attachedSr } = await import('./attached-sr.ts');
  return attachedSr(work, uuid, mapping, record);
}

/** What sr_attach has noted on this host, and where the kernel has that image; undefined where nothing is noted. */
export function notedSr(
  work: SrWork,
  uuid: SrUuid,
): { readonly record: AttachedRecord; readonly mapping: Mapping | undefined } | undefined {
  const record = readAttachedRecord(work.profile.paths, uuid);
  return record === undefined ? undefined : { record, mapping: krbdOf(work).find(record.spec, record.fsid) };
}
