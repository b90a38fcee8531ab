import { encodeCall } from '../../../src/xmlrpc/encode.ts';
import { requestText } from '../sm/request-text.ts';

/** A request of an SR with this device_config. */
export function sr(command: string, deviceConfig: Readonly<Record<string, string>>): string {
  return requestText(command, { device_config: { SRmaster: 'true', ...deviceConfig } });
}

export const ISCSI = {
  target: '10.0.0.1',
  port: '3260',
  targetIQN: 'iqn.2001-05.com.example:6789',
  SCSIid: '36789abc',
};
export const RBD = { target: '10.0.0.1', port: '6789', targetIQN: 'pool', SCSIid: 'image' };

/** As xapi asks for it: no session, no configuration. */
export const DRIVER_INFO = encodeCall('sr_get_driver_info', [
  { host_ref: 'OpaqueRef:H', command: 'sr_get_driver_info', args: [], device_config: {} },
]);

/** Every command of an SR's life. */
export const COMMANDS = [
  'sr_create',
  'sr_attach',
  'sr_scan',
  'sr_update',
  'sr_probe',
  'sr_detach',
  'sr_delete',
  'vdi_create',
  'vdi_attach',
  'vdi_activate',
  'vdi_deactivate',
  'vdi_detach',
  'vdi_snapshot',
  'vdi_clone',
  'vdi_resize',
  'vdi_update',
  'vdi_compose',
  'vdi_delete',
  'vdi_generate_config',
  'vdi_attach_from_config',
  'vdi_detach_from_config',
  'vdi_epoch_begin',
] as const;
