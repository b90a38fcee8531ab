import { existsSync, readdirSync } from 'node:fs';
import type { Deadline } from '../base/deadline.ts';

/**
 * Mounts debugfs where it belongs, unless it is there: systemd does so, XenServer 6.5 has nobody who would. A kernel
 * that has none stays without; whoever looks there says what he lacks.
 */
export async function mountDebugfs(sysRoot: string, deadline: Deadline): Promise<void> {
  const folder = `${sysRoot}/kernel/debug`;
  if (!existsSync(folder) || readdirSync(folder).length > 0) return;
  const { runProgram } = await import('./run.ts');
  await runProgram('mount', ['-t', 'debugfs', 'debugfs', folder], { deadline });
}
