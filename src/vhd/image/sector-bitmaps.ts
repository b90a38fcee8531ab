import type { BlockIo } from '../../base/block-io.ts';
import { SECTOR } from '../../base/units.ts';
import { countOnes, setBits } from '../format/bits.ts';
import type { BlockForm } from '../format/places.ts';

/** Which sectors of one block are present. */
export interface SectorBitmap {
  readonly bits: Buffer;
  /** How many. */
  present: number;
  /** Writes that will set bits once their data is written: it must not be forgotten before. */
  users: number;
}

/** Bitmaps kept in memory: 4 MiB of them cover 16 GiB. */
const KEPT = 8192;

/** The sector bitmaps of the blocks that are allocated and not full. */
export class SectorBitmaps {
  /** Blocks whose bitmap on the disk is older than ours. */
  readonly dirty = new Set<number>();
  /** Blocks whose bitmap is on its way: until it has arrived, the disk must not be asked. */
  readonly #travelling = new Set<number>();
  readonly #io: BlockIo;
  readonly #form: BlockForm;
  readonly #kept = new Map<number, SectorBitmap>();
  readonly #loading = new Map<number, Promise<SectorBitmap>>();

  constructor(io: BlockIo, form: BlockForm) {
    this.#io = io;
    this.#form = form;
  }

  peek(block: number): SectorBitmap | undefined {
    return this.#kept.get(block);
  }

  /** The bitmap of `block`, whose sector in the BAT is `sector`. */
  load(block: number, sector: number): Promise<SectorBitmap> {
    const known = this.#kept.get(block);
    if (known !== undefined) return Promise.resolve(known);
    const running = this.#loading.get(block);
    if (running !== undefined) return running;
    const loading = this.#read(block, sector).finally(() => this.#loading.delete(block));
    this.#loading.set(block, loading);
    return loading;
  }

  /** For a write: counted as a user until `release`. */
  async hold(block: number, sector: number): Promise<SectorBitmap> {
    for (;;) {
      await this.load(block, sector);
      const bitmap = this.#kept.get(block);
      // Another load may have pushed it out between its arrival and now.
      if (bitmap === undefined) continue;
      bitmap.users += 1;
      return bitmap;
    }
  }

  /** The bitmap of a block that was just allocated: empty, and not on the disk. */
  fresh(block: number): void {
    this.dirty.add(block);
    this.#keep(block, { bits: Buffer.alloc(this.#form.bitmapBytes), present: 0, users: 0 });
  }

  /** Marks sectors as present whose data has been written; true when that made the block full. */
  mark(block: number, bitmap: SectorBitmap, firstSector: number, sectors: number): boolean {
    const added = setBits(bitmap.bits, firstSector, sectors);
    if (added === 0) return false;
    bitmap.present += added;
    this.dirty.add(block);
    return bitmap.present === this.#form.sectors;
  }

  /**
   * Starts writing: the dirty blocks, none of which is dirty any more. One `arrived` follows before the next `depart`.
   */
  depart(): number[] {
    const blocks = [...this.dirty];
    this.dirty.clear();
    for (const block of blocks) this.#travelling.add(block);
    return blocks;
  }

  /** Ends writing; after a failure what was on its way is dirty again. */
  arrived(success: boolean): void {
    if (!success) for (const block of this.#travelling) this.dirty.add(block);
    this.#travelling.clear();
  }

  clear(): void {
    this.#kept.clear();
    this.dirty.clear();
  }

  async #read(block: number, sector: number): Promise<SectorBitmap> {
    const bits = Buffer.from(await this.#io.read(sector * SECTOR, this.#form.bitmapBytes));
    const bitmap = { bits, present: countOnes(bits), users: 0 };
    this.#keep(block, bitmap);
    return bitmap;
  }

  #keep(block: number, bitmap: SectorBitmap): void {
    if (this.#kept.size >= KEPT) this.#forgetOne();
    this.#kept.set(block, bitmap);
  }

  /** The oldest that nobody needs. */
  #forgetOne(): void {
    for (const [block, { users }] of this.#kept) {
      if (users > 0 || this.dirty.has(block) || this.#travelling.has(block)) continue;
      this.#kept.delete(block);
      return;
    }
  }
}
