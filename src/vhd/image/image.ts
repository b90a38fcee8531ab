import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { setBits } from '../format/bits.ts';
import { BlockStore } from './block-store.ts';
import { BlockTable } from './block-table.ts';
import type { Extent } from './extents.ts';
import { DIFFERENCING, type Footer, isPoisoned, FOOTER_BYTES, resizedFooter } from '../format/footer.ts';
import { FooterStore } from './footer-store.ts';
import type { FooterPlace } from '../format/find-footer.ts';
import { FullBlocks } from './full-blocks.ts';
import { BLOCK_BYTES, type Header } from '../format/header.ts';
import { blockCount, type Metadata, type OpenOptions, readBat, readMetadata } from './metadata.ts';
import { type BlockForm, blockForm, physicalSize, reservedEnd } from '../format/places.ts';
import { readExtents } from './read-extents.ts';

/**
 * One VHD, without its parents. Opening never writes. Whoever opened `io` may close it instead of the image once
 * `flush` has returned: the image is sound then, only its batmap is older than it could be.
 */
export class VhdImage {
  readonly io: BlockIo;
  readonly header: Header;
  /** Where the footer was found when it was opened. */
  readonly footerPlace: FooterPlace;
  readonly batmap: Metadata['batmap'];
  readonly form: BlockForm;
  readonly #mode: 'read' | 'write';
  readonly #footers: FooterStore;
  #table: BlockTable;
  #full: FullBlocks;
  #store: BlockStore;

  private constructor(io: BlockIo, mode: 'read' | 'write', found: Metadata, table: BlockTable, full: FullBlocks) {
    this.io = io;
    this.header = found.header;
    this.footerPlace = found.place;
    this.batmap = found.batmap;
    this.form = blockForm(found.header.blockSize);
    this.#mode = mode;
    this.#footers = new FooterStore(io, found.footer, found.place);
    this.#table = table;
    this.#full = full;
    this.#store = new BlockStore(io, found.header.tableOffset, table, full, this.form);
  }

  /** Throws 'vhd-corrupt'; 'internal' where a foreign one is to be written. */
  static async open(io: BlockIo, mode: 'read' | 'write', o: OpenOptions = {}): Promise<VhdImage> {
    if (mode === 'write' && o.foreign === true)
      throw new RbdsrError('internal', { what: `${io.name} is only looked at` });
    const found = await readMetadata(io, o);
    if (mode === 'write') refusePoisoned(io, found.footer);
    const { table, full } = await readBlocks(io, found);
    if (mode === 'write') refuseFullToTheEnd(io, table);
    return new VhdImage(io, mode, found, table, full);
  }

  get footer(): Footer {
    return this.#footers.footer;
  }

  /** Bytes the guest sees. */
  get virtualSizeBytes(): number {
    return this.footer.currentSize;
  }

  /** The most it can grow to without moving data. */
  get maxVirtualSizeBytes(): number {
    return this.header.maxBatEntries * this.form.bytes;
  }

  get hasParent(): boolean {
    return this.footer.diskType === DIFFERENCING;
  }

  get hidden(): boolean {
    return this.footer.hidden !== 0;
  }

  /** Data and a footer: what a device must hold (`vhd-util query -s`). */
  get physicalSizeBytes(): number {
    return physicalSize(this.#table.dataEnd);
  }

  /** Blocks, which are 2 MiB in an SR (`vhd-util query -a`). */
  get allocatedBlocks(): number {
    return this.#table.allocatedBlocks;
  }

  /** The BAT: one entry per block of the virtual size. */
  get blockEntries(): Uint32Array {
    return this.#table.entries;
  }

  /** One bit per block, the highest of byte 0 first, set where it is allocated (`vhd-util read -B`). */
  allocationBitmap(): Buffer {
    const bits = Buffer.alloc(Math.ceil(this.#table.entries.length / 8));
    for (const [block, entry] of this.#table.entries.entries()) if (entry !== UNALLOCATED) setBits(bits, block, 1);
    return bits;
  }

  /** Where the bytes of a virtual range lie in `io`; a promise only where a bitmap has to be read first. */
  extents(offset: number, length: number): readonly Extent[] | Promise<readonly Extent[]> {
    this.#checkRange('read', offset, length);
    return length === 0 ? [] : this.#store.extents(offset, length);
  }

  /** The image's own sectors; zeroes where it has none. */
  async read(offset: number, length: number): Promise<Buffer> {
    return readExtents(this.io, await this.extents(offset, length), this.form.bytes, async (_at, bytes) =>
      Buffer.alloc(bytes),
    );
  }

  /** Whole sectors. They survive a crash once `flush` has returned. */
  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#checkRange('write', offset, data.length);
    this.#mustWrite();
    if (offset % SECTOR !== 0 || data.length % SECTOR !== 0) {
      throw new RbdsrError('invalid-argument', {
        what: `write of ${data.length} bytes at ${offset}: not whole sectors`,
      });
    }
    if (data.length > 0) await this.#store.write(offset, data);
  }

  async flush(): Promise<void> {
    if (this.#mode === 'write') await this.#store.flush();
  }

  /** The flag is durable on return. */
  async setHidden(hidden: boolean): Promise<void> {
    this.#mustWrite();
    await this.#footers.change(Object.freeze({ ...this.footer, hidden: hidden ? 1 : 0 }));
  }

  /**
   * Grows the virtual size to a multiple of 2 MiB; 'vdi-size' where it would shrink or outgrow the BAT. Nothing else
   * may be in flight.
   */
  async resizeFast(virtualSizeBytes: number): Promise<void> {
    const fits = virtualSizeBytes >= this.virtualSizeBytes && virtualSizeBytes <= this.maxVirtualSizeBytes;
    if (!fits || virtualSizeBytes % BLOCK_BYTES !== 0) {
      throw new RbdsrError('vdi-size', {
        what: `${this.io.name} cannot be resized in place`,
        expected: `a multiple of 2 MiB between ${this.virtualSizeBytes} and ${this.maxVirtualSizeBytes} bytes`,
        found: `${virtualSizeBytes} bytes`,
      });
    }
    this.#mustWrite();
    await this.flush();
    await this.#footers.change(resizedFooter(this.footer, virtualSizeBytes));
    await this.#full.save(this.io, this.footer, this.header);
    await this.#reload();
  }

  /**
   * A footer in the last sector of a device of `deviceBytes`, which must lie behind all data (`vhd-util modify -s`).
   */
  async writeFooterAt(deviceBytes: number): Promise<void> {
    this.#mustWrite();
    await this.#footers.writeAt(deviceBytes, this.physicalSizeBytes);
  }

  /** Makes the end footer invalid until `close`, so that a reader in between takes the copy at offset 0. */
  async killEndFooter(): Promise<void> {
    this.#mustWrite();
    await this.#footers.killEnd();
  }

  /** Takes every block away (`vhd-util modify -z`): batmap first, for it may only show blocks that the BAT has. */
  async killData(): Promise<void> {
    this.#mustWrite();
    await this.flush();
    this.#store.clear(reservedEnd(this.footer, this.header, this.batmap));
    await this.#full.save(this.io, this.footer, this.header);
    await this.flush();
  }

  /** Writes what is left, the batmap and, where they need it, both footers; closes `io` in any case. */
  async close(): Promise<void> {
    try {
      if (this.#mode === 'write') await this.#finish();
    } finally {
      await this.io.close();
    }
  }

  async #finish(): Promise<void> {
    await this.flush();
    await this.#full.save(this.io, this.footer, this.header);
    await this.io.flush();
    await this.#footers.restore();
  }

  async #reload(): Promise<void> {
    const found: Metadata = { footer: this.footer, place: 'end', header: this.header, batmap: this.batmap };
    const { table, full } = await readBlocks(this.io, found);
    this.#table = table;
    this.#full = full;
    this.#store = new BlockStore(this.io, this.header.tableOffset, table, full, this.form);
  }

  #mustWrite(): void {
    if (this.#mode === 'write') return;
    throw new RbdsrError('internal', { what: `${this.io.name} was opened for reading and is to be written` });
  }

  #checkRange(verb: string, offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.virtualSizeBytes) return;
    throw new RbdsrError('io', {
      what: `${verb} outside the virtual disk of ${this.io.name}`,
      expected: `a range below ${this.virtualSizeBytes} bytes`,
      found: `${length} bytes at offset ${offset}`,
    });
  }
}

/** Closing, hiding or growing it would write the footer over data. */
function refuseFullToTheEnd(io: BlockIo, { dataEnd }: BlockTable): void {
  if (dataEnd <= io.size - FOOTER_BYTES) return;
  throw new RbdsrError('vhd-corrupt', {
    what: `${io.name} has no room for a footer behind its data`,
    expected: `data that ends at byte ${io.size - FOOTER_BYTES} at the latest`,
    found: `data that ends at byte ${dataEnd}`,
    todo: 'It can be read; to write it, give its volume at least one sector more.',
  });
}

function refusePoisoned(io: BlockIo, footer: Footer): void {
  if (!isPoisoned(footer)) return;
  throw new RbdsrError('vhd-corrupt', {
    what: `a resize of ${io.name} was cut short (its footers say v_poison)`,
    todo: 'Play its journal back with the tool that resized it, or restore the disk.',
  });
}

async function readBlocks(io: BlockIo, found: Metadata): Promise<{ table: BlockTable; full: FullBlocks }> {
  const { footer, header, batmap } = found;
  const endsAt = reservedEnd(footer, header, batmap);
  const sectors = await readBat(io, footer, header);
  const room = { name: io.name, endsAt: io.size - FOOTER_BYTES };
  const table = new BlockTable(sectors, blockCount(footer, header), endsAt, room, blockForm(header.blockSize));
  return { table, full: await FullBlocks.load(io, footer, batmap, table.entries) };
}
