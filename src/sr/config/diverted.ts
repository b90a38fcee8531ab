import { MONITOR_PORT } from '../../ceph/cluster/monitors.ts';
import type { StringMap } from '../../xapi/values.ts';

/**
 * Whether a device_config of SR type `lvmoiscsi` is RBDSR's: the port a person typed is exactly 6789, the monitors'.
 * sr_get_driver_info carries no port and is the stock driver's. The dispatcher (src/main/divert.py) has looked at the
 * text already; this is the word that counts.
 */
export function isDiverted(deviceConfig: StringMap): boolean {
  return deviceConfig['port'] === String(MONITOR_PORT);
}
