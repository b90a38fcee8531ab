import type { BlockIo } from '../../base/block-io.ts';
import type { FooterPlace, FoundFooter } from '../format/find-footer.ts';
import { findFooter } from '../format/find-footer.ts';
import { FIXED, type Footer } from '../format/footer.ts';
import { VhdImage } from './image.ts';
import type { OpenOptions } from './metadata.ts';

/** A fixed disk: the first bytes of its file are its content. It can be looked at; no SR holds one. */
export class FixedVhd {
  readonly io: BlockIo;
  readonly footer: Footer;
  readonly footerPlace: FooterPlace;

  constructor(io: BlockIo, { footer, place }: FoundFooter) {
    this.io = io;
    this.footer = footer;
    this.footerPlace = place;
  }

  /** Bytes the guest sees. */
  get virtualSizeBytes(): number {
    return this.footer.currentSize;
  }
}

/** The disk in `io`, of whatever form, to look at it. Throws 'vhd-corrupt'. */
export async function openForeign(io: BlockIo, o: Pick<OpenOptions, 'copyFirst'> = {}): Promise<VhdImage | FixedVhd> {
  const found = await findFooter(io, o);
  return found.footer.diskType === FIXED ? new FixedVhd(io, found) : VhdImage.open(io, 'read', { ...o, foreign: true });
}
