import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { decodeFooter, type Footer, FOOTER_BYTES } from './footer.ts';

/** Where a footer was found: at the end, 511 bytes long at the end (images older than 2004), or the copy at offset 0. */
export type FooterPlace = 'end' | 'legacy-end' | 'copy';

/**
 * The footer of an image, tried at the end, as a legacy footer at the end, and at offset 0; with `copyFirst` offset 0 comes first. An
 * image in use may have no valid end footer: a tapdisk overwrites it until the disk is closed. Throws the 'vhd-corrupt' of the first place.
 */
export async function findFooter(
  io: BlockIo,
  o: { readonly copyFirst?: boolean } = {},
): Promise<{ readonly footer: Footer; readonly place: FooterPlace }> {
  const places: readonly FooterPlace[] = o.copyFirst ? ['copy', 'end', 'legacy-end'] : ['end', 'legacy-end', 'copy'];
  let first: unknown;
  for (const place of places) {
    try {
      return { footer: await readFooterAt(io, place), place };
    } catch (error) {
      if (!(error instanceof RbdsrError && error.code === 'vhd-corrupt')) throw error;
      first ??= error;
    }
  }
  throw first;
}

/** Throws 'vhd-corrupt' where there is none. */
export async function readFooterAt(io: BlockIo, place: FooterPlace): Promise<Footer> {
  const at = { end: io.size - FOOTER_BYTES, 'legacy-end': io.size - FOOTER_BYTES + 1, copy: 0 }[place];
  if (at < 0 || io.size < FOOTER_BYTES) {
    throw new RbdsrError('vhd-corrupt', { what: `${io.name} is too small for a VHD`, found: `${io.size} bytes` });
  }
  if (place !== 'legacy-end') return decodeFooter(await io.read(at, FOOTER_BYTES), at);
  return decodeFooter(Buffer.concat([await io.read(at, FOOTER_BYTES - 1), Buffer.alloc(1)]), at);
}
