import type { DataPathHost } from './datapath-host.ts';
import type { DataPath, DiskOfPath } from './datapath.ts';
import { NbdDataPath } from './nbd/nbd-data-path.ts';
import { TapdiskDataPath } from './tapdisk/tapdisk-data-path.ts';

/**
 * The host's way. `nbdServer` is how our NBD server is started: a program and its first arguments, `[node,
 * '/opt/rbdsr/app/nbd.js']`.
 */
export function openDataPath(host: DataPathHost, diskOfPath: DiskOfPath, nbdServer: readonly string[]): DataPath {
  if (host.datapath.kind === 'tapdisk') return new TapdiskDataPath(host, diskOfPath);
  return new NbdDataPath(host, { server: nbdServer });
}
