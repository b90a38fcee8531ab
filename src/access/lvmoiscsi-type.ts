import type { SrType } from '../sr/config/sr-type.ts';
import { DivertedConfig } from './diverted-config.ts';

/** SR type `lvmoiscsi` with the port of a monitor: an RBD SR made in the ordinary "New iSCSI SR" wizard. */
export const lvmoiscsiType: SrType = {
  name: 'lvmoiscsi',
  config: (deviceConfig) => new DivertedConfig(deviceConfig),
};
