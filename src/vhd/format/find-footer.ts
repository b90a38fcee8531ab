import type { BlockIo } from '../../base/block-io.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { decodeFooter, encodeFooter, FIXED, type Footer, FOOTER_BYTES, isHiddenByCopy, refuseFixed } from './footer.ts';

/**
 * Where a footer was found: at the end, 511 bytes long at the end (images older than 2004), or the copy at offset 0.
 */
export type FooterPlace = 'end' | 'legacy-end' | 'copy';

export interface FoundFooter {
  readonly footer: Footer;
  /** 'copy': the end has none, or one that does not count. */
  readonly place: FooterPlace;
}

/**
 * The footer of an image. Where only one of its two places has a valid one, that one counts: a tapdisk overwrites the
 * end until the disk is closed. Where both have and they are of different images, the copy counts: a volume that has
 * just grown ends in whatever lay there before, the footer of another VHD at times, and nothing but this image is
 * written at offset 0. Where they differ otherwise, the end counts, as for blktap; with `copyFirst` the copy, as for a
 * scan. A fixed disk has a footer at its end alone; what its content begins with may be a footer, too. Throws the
 * 'vhd-corrupt' of the place that comes first.
 */
export async function findFooter(io: BlockIo, o: { readonly copyFirst?: boolean } = {}): Promise<FoundFooter> {
  const end = await orCorrupt(endFooter(io));
  const copy = await orCorrupt(copyFooter(io));
  if (end instanceof RbdsrError) {
    if (copy instanceof RbdsrError) throw o.copyFirst === true ? copy : end;
    return copy;
  }
  if (copy instanceof RbdsrError) return end;
  if (o.copyFirst !== true && isFixedFile(io, end)) return end;
  if (copyCounts(end.footer, copy.footer, o.copyFirst === true)) return copy;
  if (!isHiddenByCopy(end.footer)) return end;
  return { ...end, footer: Object.freeze({ ...end.footer, hidden: copy.footer.hidden }) };
}

/** Of a fixed disk that fills its file: a volume that has grown over another disk's footer never fits it so well. */
export function isFixedFile(io: BlockIo, { footer, place }: FoundFooter): boolean {
  return footer.diskType === FIXED && footer.currentSize === footerOffset(io.size, place);
}

/** The two say the same, but for the one way in which they may differ. */
export function footersAgree(end: Footer, copy: Footer): boolean {
  const alike = isHiddenByCopy(end) && copy.hidden !== 0 ? { ...end, hidden: copy.hidden } : end;
  return encodeFooter(alike).equals(encodeFooter(copy));
}

/** Of two valid footers. */
export function copyCounts(end: Footer, copy: Footer, copyFirst = false): boolean {
  if (end.uuid !== copy.uuid) return true;
  return copyFirst && !footersAgree(end, copy);
}

/** The footer at the end, an old one where there is no other. Throws 'vhd-corrupt' where there is none. */
export async function endFooter(io: BlockIo): Promise<FoundFooter> {
  try {
    return { footer: await readFooterAt(io, 'end'), place: 'end' };
  } catch (error) {
    if (!hasCode(error, 'vhd-corrupt')) throw error;
    const legacy = await orCorrupt(readFooterAt(io, 'legacy-end'));
    if (legacy instanceof RbdsrError) throw error;
    return { footer: legacy, place: 'legacy-end' };
  }
}

async function copyFooter(io: BlockIo): Promise<FoundFooter> {
  return { footer: await readFooterAt(io, 'copy'), place: 'copy' };
}

async function orCorrupt<T>(reading: Promise<T>): Promise<T | RbdsrError> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'vhd-corrupt')) return error;
    throw error;
  }
}

/** The byte at which a footer begins there, in an image of `size` bytes; negative in one that is too small. */
export function footerOffset(size: number, place: FooterPlace): number {
  return { end: size - FOOTER_BYTES, 'legacy-end': size - FOOTER_BYTES + 1, copy: 0 }[place];
}

/** Throws 'vhd-corrupt' where there is none. */
export async function readFooterAt(io: BlockIo, place: FooterPlace): Promise<Footer> {
  const at = footerOffset(io.size, place);
  if (at < 0 || io.size < FOOTER_BYTES) {
    throw new RbdsrError('vhd-corrupt', { what: `${io.name} is too small for a VHD`, found: `${io.size} bytes` });
  }
  if (place === 'copy') {
    const footer = decodeFooter(await io.read(at, FOOTER_BYTES), at);
    refuseFixed(footer, at);
    return footer;
  }
  if (place === 'end') return decodeFooter(await io.read(at, FOOTER_BYTES), at);
  return decodeFooter(Buffer.concat([await io.read(at, FOOTER_BYTES - 1), Buffer.alloc(1)]), at);
}
