/** Sizes and offsets are plain numbers of bytes unless a name says otherwise; every one stays below 2^53. */
export const SECTOR = 512;
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

/** `value` rounded up to a multiple of `quantum`; 0 counts as 1, as in sm `util.roundup`. */
export function roundUp(quantum: number, value: number): number {
  return Math.ceil(Math.max(value, 1) / quantum) * quantum;
}

/** `value` rounded down to a multiple of `quantum`. */
export function roundDown(quantum: number, value: number): number {
  return Math.floor(value / quantum) * quantum;
}

/** "10 GiB", "512 B": for people, never for parsing. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
