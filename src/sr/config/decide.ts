import { MONITOR_PORT } from '../../ceph/cluster/monitors.ts';
import type { SmRequest } from '../../sm/protocol/request.ts';

/**
 * Whether a request for SR type `lvmoiscsi` is RBDSR's: the port a person typed is exactly 6789, the monitors'. sr_get_driver_info carries no
 * port and is the stock driver's. The dispatcher (src/main/divert.py) has looked at the text already; this is the word that counts.
 */
export function isOurs(request: Pick<SmRequest, 'deviceConfig'>): boolean {
  return request.deviceConfig['port'] === String(MONITOR_PORT);
}
