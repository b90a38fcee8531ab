import type { Deadline } from '../base/deadline.ts';
import { namesIn } from '../system/files.ts';
import { readAttribute } from '../system/sysfs.ts';
import { lvNodeGone, openersOfLv } from './_nodes.ts';
import { splitDmName } from './dm-name.ts';

/** An active volume, as device-mapper has it. */
export interface UnreadVolume {
  readonly name: string;
  /** `dm-3`. */
  readonly holder: string;
  /** Who has it open. */
  readonly openers?: string;
}

/**
 * The volumes of a group that are active on a device which cannot be read, by what the kernel shows: LVM would read it
 * for whatever it is told.
 */
export function unreadVolumes(
  { major, minor }: { readonly major: number; readonly minor: number },
  vg: string,
): readonly UnreadVolume[] {
  return namesIn(`/sys/dev/block/${major}:${minor}/holders`).flatMap((holder) => {
    const found = splitDmName(readAttribute(`/sys/block/${holder}/dm/name`) ?? '');
    if (found?.vg !== vg) return [];
    const openers = openersOfLv(vg, found.lv);
    return [{ name: found.lv, holder, ...(openers === undefined ? {} : { openers }) }];
  });
}

/** By device-mapper alone. 'device-busy' where somebody has it open. */
export async function letUnreadGo(vg: string, { name }: Pick<UnreadVolume, 'name'>, deadline: Deadline): Promise<void> {
  await lvNodeGone(vg, name, deadline);
}
