import type { BlockIo } from '../base/block-io.ts';
import type { SrUuid } from '../base/ids.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { vgName } from '../lvhd/names.ts';
import { Lvm } from '../lvm/lvm.ts';
import { openBlockIo } from '../system/io/block-device.ts';
import type { AttachedRecord } from './attached-record.ts';
import type { SrWork } from './work/work.ts';
import { serialiser } from '../dom0/lvm-lock.ts';

/** An SR whose image is mapped on this host, and what its commands need. */
export interface AttachedSr {
  readonly uuid: SrUuid;
  readonly vg: string;
  readonly spec: ImageSpec;
  readonly mapping: Mapping;
  readonly allocation: 'thick' | 'thin';
  /** Writable only for the SR master with an sr_ref (docs/architecture.md, safety rules). */
  readonly lvm: Lvm;
  readonly openPv: (mode: 'read' | 'write') => Promise<BlockIo>;
}

export function attachedSr(
  work: SrWork,
  uuid: SrUuid,
  mapping: Mapping,
  record: Pick<AttachedRecord, 'spec' | 'allocation'>,
): AttachedSr {
  const vg = vgName(uuid);
  return {
    uuid,
    vg,
    spec: record.spec,
    mapping,
    allocation: record.allocation,
    lvm: lvmOf(work, mapping, vg),
    openPv: (mode) => openBlockIo(mapping.device, mode),
  };
}

/** Writable only where the request proves that this host is the SR's master. */
export function lvmOf(work: SrWork, mapping: Mapping, vg: string): Lvm {
  const { subject, profile } = work;
  const writable = subject.srMaster && subject.srRef !== undefined;
  const { masterSystemDir } = profile.lvm;
  return new Lvm({
    device: mapping.device,
    vg,
    writable,
    serialise: serialiser(work, mapping.device),
    ...(writable && masterSystemDir !== undefined ? { systemDir: profile.paths.root + masterSystemDir } : {}),
    deadline: work.deadline,
  });
}
