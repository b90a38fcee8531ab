import type { ImageSpec } from '../../ceph/image/image-spec.ts';
import type { StringMap } from '../../xapi/values.ts';
import { isDiverted } from './diverted.ts';

/** Which image a device_config names. */
export interface ImageChoice {
  readonly pool?: string;
  readonly namespace?: string;
  readonly image?: string;
}

/** The same, and the monitors by which its cluster is found, as they are written. Nothing of it is checked. */
export interface WrittenChoice extends ImageChoice {
  readonly monitors?: string;
}

/** SR type `rbd`. An empty value counts as absent. */
export function choiceOfRbd(deviceConfig: StringMap): WrittenChoice {
  const { pool, namespace, image, monitors } = deviceConfig;
  return written({ pool, namespace, image, monitors });
}

/** An iSCSI SR with a monitor's port: the pool is its IQN, the image its SCSI id, and it knows no namespace. */
export function choiceOfWizard(deviceConfig: StringMap): WrittenChoice {
  const { targetIQN: pool, SCSIid: image, target: monitors } = deviceConfig;
  return written({ pool, image: pool === undefined || pool === '' ? undefined : image, monitors });
}

/** For a PBD of any SR: an iSCSI SR of the stock driver names neither pool nor image. */
export function choiceOf(deviceConfig: StringMap): WrittenChoice {
  return isDiverted(deviceConfig) ? choiceOfWizard(deviceConfig) : choiceOfRbd(deviceConfig);
}

/** Undefined where it does not say which. */
export function chosenImage({ pool, namespace, image }: ImageChoice): ImageSpec | undefined {
  if (pool === undefined || image === undefined) return undefined;
  return { pool, image, ...(namespace === undefined ? {} : { namespace }) };
}

function written(choice: Readonly<Record<string, string | undefined>>): WrittenChoice {
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined && value !== ''));
}
