import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const MODULES = '/usr/lib/uml/modules';

/** The user-mode kernel of Debian's package. */
export interface UmlKernel {
  readonly release: string;
  /** The folder of its modules, on this machine. */
  readonly modules: string;
  /** What its first root needs to get to a host's own. */
  readonly firstModules: readonly string[];
}

export function umlKernel(): UmlKernel {
  const [release] = existsSync(MODULES) ? readdirSync(MODULES).sort().reverse() : [];
  if (release === undefined) throw new Error(`no kernel modules in ${MODULES} (package user-mode-linux)`);
  const modules = join(MODULES, release);
  return { release, modules, firstModules: [join(modules, 'kernel/fs/overlayfs/overlay.ko')] };
}
