import { Deadline } from '../../base/deadline.ts';
import { openHost } from '../../installer/host.ts';
import { releaseMapping } from '../../installer/shutdown/release-mapping.ts';
import { releaseImages } from '../../installer/shutdown/release-images.ts';
import { thisNode } from '../../system/this-node.ts';
import type { CliCall } from '../cli-call.ts';

/** `rbdsr release-images`: what the release unit runs when the host shuts down. */
export async function releaseAllImages(call: CliCall): Promise<number> {
  const releaser = [...thisNode(), process.argv[1] ?? '', 'release-image'];
  const released = await releaseImages(openHost(call.root, call.versionLine), releaser);
  if (released === undefined) {
    call.print('This host is not shutting down: nothing was unmapped. "rbdsr unmap" takes away one that no SR uses.\n');
    return 0;
  }
  for (const { label, how, problem } of released) {
    call.print(`${label}: ${how}${problem === undefined ? '' : `: ${problem}`}\n`);
  }
  return released.every(({ how }) => how !== 'left') ? 0 : 1;
}

/** `rbdsr release-image INDEX MILLISECONDS`: one of them, in a process that may have to stay. */
export async function releaseOneImage(call: CliCall, index: string, milliseconds: string): Promise<number> {
  const deadline = Deadline.after(Number(milliseconds));
  const released = await releaseMapping(openHost(call.root, call.versionLine), Number(index), deadline);
  call.print(`${JSON.stringify(released)}\n`);
  return 0;
}
