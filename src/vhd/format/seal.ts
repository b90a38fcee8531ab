import { byteSumChecksum } from './checksum.ts';
import { corrupt, hex } from './corrupt.ts';
import type { Layout } from './layout.ts';

const COOKIE_BYTES = 8;

/**
 * Whether bytes are a structure at all, and one that is whole: its cookie, then its checksum, before any of its fields
 * is judged. `bears` may take a wrong sum. Throws 'vhd-corrupt'.
 */
export function checkSeal<F extends { readonly cookie: unknown; readonly checksum: unknown }>(
  layout: Layout<F>,
  bytes: Uint8Array,
  at: number,
  cookies: readonly string[],
  bears: (bytes: Buffer, sum: number) => boolean = () => false,
): void {
  const whole = Buffer.from(bytes.subarray(0, layout.size));
  if (whole.length < layout.size) throw corrupt(layout.name, at, `${layout.size} bytes`, `${whole.length} bytes`);
  const cookie = whole.toString('latin1', 0, COOKIE_BYTES);
  if (!cookies.includes(cookie)) {
    const expected = cookies.map((one) => `'${one}'`).join(' or ');
    throw corrupt(`${layout.name}.cookie`, at, expected, JSON.stringify(cookie));
  }
  const place = layout.offsetOf('checksum');
  const sum = byteSumChecksum(whole, place);
  const found = whole.readUInt32BE(place);
  if (found !== sum && !bears(whole, found)) {
    throw corrupt(`${layout.name}.checksum`, at + place, hex(sum), hex(found));
  }
}
