/** `/dev/<vg>/<lv>`, the link LVM and udev make for an active logical volume. */
export function lvPath(vg: string, lv: string): string {
  return `/dev/${vg}/${lv}`;
}

/**
 * The device-mapper name of a logical volume: each `-` inside a name is doubled, a single one separates (lvm2
 * `dm_build_dm_name`).
 */
export function dmName(vg: string, lv: string): string {
  return `${escapeDm(vg)}-${escapeDm(lv)}`;
}

export function escapeDm(name: string): string {
  return name.replaceAll('-', '--');
}

/** The inverse of `dmName`, or undefined where there is no single `-` or more than one. */
export function splitDmName(name: string): { readonly vg: string; readonly lv: string } | undefined {
  const parts = name.replaceAll('--', '\0').split('-');
  const [vg, lv] = parts.map((part) => part.replaceAll('\0', '-'));
  return parts.length === 2 && vg !== undefined && lv !== undefined ? { vg, lv } : undefined;
}
