import { resolve } from 'node:path';
import { gatherPicture, type GatherRequest } from '../../picture/gather/gather.ts';
import { disksAsLine } from '../../picture/gather/read-apart.ts';
import type { Picture } from '../../picture/picture.ts';
import { thisNode } from '../../system/this-node.ts';
import type { CliCall } from '../cli-call.ts';
import { deadlineMs } from '../deadline-option.ts';

export interface LookOptions {
  readonly json?: true;
  readonly device?: string;
  /** Also what the cluster holds of each volume. */
  readonly ceph?: true;
  /** Seconds. */
  readonly deadline?: string;
}

/** The name under which the command starts itself to read disks. */
export const READER = 'read-disks';

/** The picture that `rbdsr tree`, `fsck` and `report` show. */
export function takePicture(
  call: CliCall,
  sr: string | undefined,
  o: LookOptions,
  ask: GatherRequest['ask'] = 'nothing',
): Promise<Picture> {
  return gatherPicture({
    root: call.root,
    reader: [...thisNode(), process.argv[1] ?? '', READER],
    ask: o.ceph === true ? 'watchers and objects' : ask,
    ms: deadlineMs(o.deadline),
    ...(sr === undefined ? {} : { sr }),
    ...(o.device === undefined ? {} : { device: resolve(o.device) }),
  });
}

/** `rbdsr read-disks WHAT MILLISECONDS`: the part of it that the kernel may keep. */
export async function printDisks(call: CliCall, what: string, milliseconds: string): Promise<number> {
  call.print(await disksAsLine(call.root, what, milliseconds));
  return 0;
}
