import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import type { ControlPlane, ImageLayout } from '../../ceph/control/control-plane.ts';
import { checkMappable, type ImageSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import type { MapOption } from '../../ceph/krbd/map-options.ts';
import { RbdsrError } from '../../base/error.ts';
import type { ImageChoice } from './image-choice.ts';
import type { SrWork } from '../work/work.ts';
import type { StringMap } from '../../xapi/values.ts';

/**
 * An SR type that RBDSR serves. All of them keep the same volumes on the same kind of image; what differs is how
 * device_config names the image and where the access to its cluster comes from.
 */
export interface SrType {
  /** SR.type. */
  readonly name: string;
  /** Checks device_config: 'config-missing' | 'config-invalid' that names the key. Reaches nothing. */
  config(deviceConfig: StringMap): SrConfig;
}

/** device_config of one call, understood. */
export interface SrConfig extends ImageChoice {
  /** Makes the image in sr_create when it is absent. */
  readonly sizeBytes?: number;
  /** How it is made then. */
  readonly layout?: ImageLayout;
  readonly options: readonly MapOption[];
  readonly allocation: 'thick' | 'thin';
  /** The monitors and the key to map the image with. What it reaches is reached once a call. */
  access(work: SrWork): Promise<ClusterAccess>;
  /**
   * Open until the call is answered. 'control-plane-missing' | 'cluster-incompatible' where there is no way to ask the
   * cluster anything.
   */
  controlPlane(work: SrWork): Promise<ControlPlane>;
  /**
   * After sr_create or the master's sr_attach has mapped the image: keeps what the mapping taught about the cluster.
   */
  mapped?(work: SrWork, mapping: Mapping): Promise<void>;
  /** After an sr_create that failed: undoes what `access` has made for the new SR. */
  abandon?(work: SrWork): Promise<void>;
  /** After sr_delete: takes away what `access` has made for the SR; what it cannot, it names in the log. */
  retire?(work: SrWork): Promise<void>;
  /**
   * device_config that works at boot, with xapi down: it names a keyring file of this host instead of anything secret.
   */
  frozen(keyring: string, access: ClusterAccess): StringMap;
}

/** Which image; 'config-missing' without pool and image, 'image-unmappable' for one the kernel cannot be told. */
export function imageSpecOf({ pool, namespace, image }: ImageChoice): ImageSpec {
  if (pool === undefined) throw missing('pool', 'The pool that holds the image', 'pools');
  if (image === undefined) throw missing('image', 'The RBD image the SR stands on', 'images of the pool');
  const spec = { pool, image, ...(namespace === undefined ? {} : { namespace }) };
  checkMappable(spec);
  return spec;
}

function missing(key: string, expected: string, what: string): RbdsrError {
  return new RbdsrError('config-missing', {
    what: `device-config ${key} is missing ("xe sr-probe type=rbd" without it lists the ${what})`,
    expected,
  });
}
