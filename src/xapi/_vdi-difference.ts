import type { StorageVdi } from './storage-vdi.ts';
import type { VdiChanges, VdiRecord } from './vdi.ts';
import type { StringMap } from './values.ts';

/** What has to change in a record, undefined when it is in sync. */
export interface VdiDifference {
  readonly fields: VdiChanges;
  /** sm_config keys to give a value. */
  readonly set: StringMap;
  /** sm_config keys to remove. */
  readonly remove: readonly string[];
}

/**
 * Compares what sm compares: read_only, virtual_size, physical_utilisation, sm_config and cbt_enabled (sm
 * `VDI._db_update`). Names and `managed` belong to xapi once the record exists.
 */
export function vdiDifference(storage: StorageVdi, record: VdiRecord): VdiDifference | undefined {
  const { virtualSize, physicalUtilisation, readOnly, cbtEnabled } = storage;
  const fields: VdiChanges = {
    ...(virtualSize === record.virtualSize ? {} : { virtualSize }),
    ...(physicalUtilisation === record.physicalUtilisation ? {} : { physicalUtilisation }),
    ...(readOnly === undefined || readOnly === record.readOnly ? {} : { readOnly }),
    ...(cbtEnabled === undefined || cbtEnabled === record.cbtEnabled ? {} : { cbtEnabled }),
  };
  const wanted = Object.entries(storage.smConfig ?? {}).filter(([key]) => !isOthers(key, storage));
  const set = Object.fromEntries(
    wanted.filter((entry): entry is [string, string] => entry[1] !== null && record.smConfig[entry[0]] !== entry[1]),
  );
  const remove = Object.keys(record.smConfig).filter((key) => !isOthers(key, storage) && isUnwanted(key, storage));
  const differs = Object.keys(fields).length + Object.keys(set).length + remove.length > 0;
  return differs ? { fields, set, remove } : undefined;
}

/** Keys that say what is being done with the disk at this moment; a scan never touches them. */
function isOthers(key: string, storage: StorageVdi): boolean {
  return key.startsWith('host_') || TRANSIENT.has(key) || (storage.keepKeys ?? KEPT).includes(key);
}

const TRANSIENT: ReadonlySet<string> = new Set(['paused', 'vhd-blocks', 'relinking', 'activating']);
const KEPT: readonly string[] = ['key_hash'];

function isUnwanted(key: string, { smConfig = {}, smConfigIsWhole = false }: StorageVdi): boolean {
  return Object.hasOwn(smConfig, key) ? smConfig[key] === null : smConfigIsWhole;
}
