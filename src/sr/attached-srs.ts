import { isUuid, type SrUuid, srUuid } from '../base/ids.ts';
import { type AttachedRecord, readAttachedRecord } from './attached-record.ts';
import { hostPaths } from '../dom0/host-profile.ts';
import { namesIn } from '../system/files.ts';

export type RecordedSr = AttachedRecord & { readonly uuid: SrUuid };

/**
 * What sr_attach has recorded on this host since it booted. A record is a hint: its image need not be mapped any more.
 */
export function attachedSrs(root: string): readonly RecordedSr[] {
  const paths = hostPaths(root, '');
  return namesIn(`${paths.runDir}/sr`).flatMap((name) => {
    const uuid = name.replace(/\.json$/, '');
    if (!isUuid(uuid)) return [];
    const record = readAttachedRecord(paths, srUuid(uuid));
    return record === undefined ? [] : [{ ...record, uuid: srUuid(uuid) }];
  });
}
