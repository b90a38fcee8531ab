import { disable } from '../../installer/disable.ts';
import { openHost } from '../../installer/host.ts';
import type { CliCall } from '../cli-call.ts';

/**
 * `rbdsr disable`. 0 once it is disabled, also where something was left as it is because somebody else has changed it
 * since.
 */
export async function disableHost(call: CliCall, force: boolean): Promise<number> {
  const done = await disable(openHost(call.root, call.versionLine), force);
  if (!done.wasEnabled) {
    call.print('RBDSR is not enabled on this host; there is nothing to undo.\n');
    for (const { path, why } of done.left) call.print(`  ${path}: ${why}\n`);
    return done.left.length === 0 ? 0 : 1;
  }
  call.print(
    done.left.length === 0
      ? 'RBDSR is not enabled on this host any more; everything is as it was before.\n'
      : 'RBDSR is not enabled on this host any more. Left as it is, for you to look at:\n',
  );
  for (const { path, why } of done.left) call.print(`  ${path}: ${why}\n`);
  for (const { label } of done.plugged)
    call.print(`\nStill plugged, and not to be unplugged without RBDSR: ${label}\n`);
  for (const problem of done.problems) call.stderr.write(`rbdsr: ${problem}\n`);
  call.print('\nSR type rbd stays known to xapi until the toolstack restarts: xe-toolstack-restart\n');
  return 0;
}
