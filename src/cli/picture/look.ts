import { resolve } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { gatherPicture, type GatherRequest } from '../../picture/gather/gather.ts';
import { disksAsLine } from '../../picture/gather/read-apart.ts';
import type { Picture } from '../../picture/picture.ts';
import { thisNode } from '../../system/this-node.ts';
import type { CliCall } from '../cli-call.ts';

export interface LookOptions {
  readonly json?: true;
  readonly device?: string;
  /** Also what the cluster holds of each volume. */
  readonly ceph?: true;
  /** Seconds. */
  readonly deadline?: string;
}

const LOOK_SECONDS = 60;
/** A day: nobody waits longer. */
const MOST_SECONDS = 86_400;

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
    ms: secondsOf(o.deadline) * 1000,
    ...(sr === undefined ? {} : { sr }),
    ...(o.device === undefined ? {} : { device: resolve(o.device) }),
  });
}

/** `rbdsr read-disks WHAT MILLISECONDS`: the part of it that the kernel may keep. */
export async function printDisks(call: CliCall, what: string, milliseconds: string): Promise<number> {
  call.print(await disksAsLine(call.root, what, milliseconds));
  return 0;
}

function secondsOf(text: string | undefined): number {
  const seconds = text === undefined ? LOOK_SECONDS : Number(text);
  if (seconds >= 5 && seconds <= MOST_SECONDS) return seconds;
  throw new RbdsrError('invalid-argument', {
    what: '--deadline is no number of seconds',
    expected: `5 to ${MOST_SECONDS}`,
    found: JSON.stringify((text ?? '').slice(0, 40)),
  });
}
