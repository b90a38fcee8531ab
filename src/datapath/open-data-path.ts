import type { DataPathHost } from './datapath-host.ts';
import type { DataPath } from './datapath.ts';
import { NbdDataPath } from './nbd-data-path.ts';
import { TapdiskDataPath } from './tapdisk-data-path.ts';

/** The host's way. `nbdServer` is how our NBD server is started: a program and its first arguments, `[node, '/opt/rbdsr/app/nbd.js']`. */
export function openDataPath(host: DataPathHost, nbdServer: readonly string[]): DataPath {
  return host.datapath.kind === 'tapdisk' ? new TapdiskDataPath(host) : new NbdDataPath(host, { server: nbdServer });
}
