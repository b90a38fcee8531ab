import type { VdiMetadata } from '../lvhd/metadata/record.ts';
import type { VdiRecord } from '../xapi/vdi.ts';

/**
 * What the metadata volume keeps of a disk that xapi has a record of. `all` are the records of its SR: the volume names
 * the origin of a snapshot by its uuid, xapi by its reference.
 */
export function metadataOfVdi(vdi: VdiRecord, vdiType: string, all: readonly VdiRecord[]): VdiMetadata {
  return {
    uuid: vdi.uuid,
    ...namesOfVdi(vdi),
    isASnapshot: vdi.isASnapshot,
    snapshotOf: all.find(({ ref }) => ref === vdi.snapshotOf)?.uuid ?? '',
    snapshotTime: vdi.isASnapshot ? vdi.snapshotTime : '',
    type: vdi.type,
    vdiType,
    readOnly: vdi.readOnly,
    managed: vdi.managed,
    metadataOfPool: vdi.metadataOfPool,
  };
}

export function namesOfVdi({
  nameLabel,
  nameDescription,
}: VdiRecord): Pick<VdiMetadata, 'nameLabel' | 'nameDescription'> {
  return { nameLabel, nameDescription };
}

/** What xapi changes of a disk and tells by vdi_update; the time of whatever is no snapshot, too, as stock does. */
export function updatesOfVdi(vdi: VdiRecord): Partial<VdiMetadata> {
  return { ...namesOfVdi(vdi), snapshotTime: vdi.snapshotTime, metadataOfPool: vdi.metadataOfPool };
}
