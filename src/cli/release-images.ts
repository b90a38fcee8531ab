import { openHost } from '../host/host.ts';
import { releaseImages } from '../host/release-images.ts';
import type { CliCall } from './cli-call.ts';

/** `rbdsr release-images`: what the release unit runs when the host shuts down. */
export async function releaseAllImages(call: CliCall): Promise<number> {
  const released = await releaseImages(openHost(call.root, call.versionLine));
  if (released === undefined) {
    call.print('This host is not shutting down: nothing was unmapped. "rbdsr unmap" takes away one that no SR uses.\n');
    return 0;
  }
  for (const { label, how, problem } of released) {
    call.print(`${label}: ${how}${problem === undefined ? '' : `: ${problem}`}\n`);
  }
  return released.every(({ how }) => how !== 'left') ? 0 : 1;
}
