import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { readDeviceReport } from './device-report.ts';
import { lvNamed, type LvReport, type LvSegment, type VgReport } from './report.ts';

/**
 * One LV after a change, as the metadata that count on the device have it, read without LVM. Undefined unless they are
 * whole and agree with `before`, which LVM has told, in all that the change left alone: then LVM is asked. For what is
 * placed by them is written there.
 */
export async function committedLv(
  open: () => Promise<BlockIo>,
  before: VgReport,
  name: string,
): Promise<LvReport | undefined> {
  const after = await committedGroup(open);
  const lv = lvNamed(after, name);
  if (after === undefined || lv === undefined || !isSameGroup(before, after)) return undefined;
  const others = after.lvs.filter((one) => one.name !== name);
  const moved = others.some((one) => {
    const known = lvNamed(before, one.name);
    return known !== undefined && !isSamePlace(known.segments, one.segments);
  });
  if (moved || !liesAlone(lv, others, after)) return undefined;
  const { active = false, open: isOpen = false } = lvNamed(before, name) ?? {};
  return { ...lv, active, open: isOpen };
}

/**
 * The volume group, read the same way; which volumes are active and open it does not tell. Of metadata that are cut
 * short, or that this reader does not understand, nothing is taken.
 */
export async function committedGroup(open: () => Promise<BlockIo>): Promise<VgReport | undefined> {
  const io = await open();
  try {
    return await readDeviceReport(io);
  } catch (error) {
    if (error instanceof RbdsrError && UNREADABLE.has(error.code)) return undefined;
    throw error;
  } finally {
    await io.close();
  }
}

const UNREADABLE: ReadonlySet<string> = new Set(['sr-unavailable', 'metadata-corrupt']);

/** LVM tells of a device's size as it is, and of what is free as it counts. */
function isSameGroup(before: VgReport, after: VgReport): boolean {
  const shape = ({ name, uuid, sizeBytes, extentSizeBytes, partial, pvs }: VgReport): string =>
    JSON.stringify([name, uuid, sizeBytes, extentSizeBytes, partial, pvs.map((pv) => [pv.name, pv.dataStartBytes])]);
  return shape(before) === shape(after);
}

function isSamePlace(one: readonly LvSegment[], other: readonly LvSegment[]): boolean {
  const places = (segments: readonly LvSegment[]): string =>
    JSON.stringify(segments.map((s) => [s.startBytes, s.lengthBytes, s.pv, s.pvOffsetBytes, s.type]));
  return places(one) === places(other);
}

/** On extents of the group's one PV that no other volume has. */
function liesAlone({ segments }: LvReport, others: readonly LvReport[], { pvs }: VgReport): boolean {
  const [pv] = pvs;
  if (pv === undefined || pvs.length > 1) return false;
  const taken = others.flatMap((lv) => lv.segments);
  return segments.every(
    (s) =>
      s.type === 'linear' &&
      s.pvOffsetBytes >= pv.dataStartBytes &&
      s.pvOffsetBytes + s.lengthBytes <= pv.dataStartBytes + pv.sizeBytes &&
      !taken.some(
        (t) => t.pvOffsetBytes < s.pvOffsetBytes + s.lengthBytes && s.pvOffsetBytes < t.pvOffsetBytes + t.lengthBytes,
      ),
  );
}
