import type { BlockIo } from '../../base/block-io.ts';
import { SECTOR } from '../../base/units.ts';
import { UNALLOCATED } from '../format/bat.ts';
import { runEnd, testBit } from '../format/bits.ts';
import type { BlockTable } from './block-table.ts';
import { Commit } from './commit.ts';
import { ABSENT, type Extent, ExtentList } from './extents.ts';
import type { FullBlocks } from './full-blocks.ts';
import type { BlockForm } from '../format/places.ts';
import { type SectorBitmap, SectorBitmaps } from './sector-bitmaps.ts';
import { settled } from '../../base/settle.ts';

/** Bitmaps that may wait for a flush, so that a guest that never asks for one does not lose much to a crash. */
const MOST_DIRTY = 512;

/**
 * Where the sectors of an image lie, and writing them. Full blocks, the common case, cost a look into two tables;
 * others also one into their bitmap. Any number of calls may run at a time: a block gets its place in one turn of the
 * event loop.
 */
export class BlockStore {
  readonly #io: BlockIo;
  readonly #form: BlockForm;
  readonly #table: BlockTable;
  readonly #full: FullBlocks;
  readonly #bitmaps: SectorBitmaps;
  readonly #commit: Commit;

  constructor(io: BlockIo, batOffset: number, table: BlockTable, full: FullBlocks, form: BlockForm) {
    this.#io = io;
    this.#form = form;
    this.#table = table;
    this.#full = full;
    this.#bitmaps = new SectorBitmaps(io, form);
    this.#commit = new Commit(io, batOffset, table, this.#bitmaps);
  }

  /** A promise only where a bitmap has to be read first. `length` is above 0. */
  extents(offset: number, length: number): readonly Extent[] | Promise<readonly Extent[]> {
    const { bytes } = this.#form;
    const first = Math.floor(offset / bytes);
    const last = Math.floor((offset + length - 1) / bytes);
    if (first === last && this.#full.has(first)) {
      return [{ offset, length, at: this.#dataOf(first) + offset - first * bytes }];
    }
    const unknown: number[] = [];
    for (let block = first; block <= last; block += 1) {
      if (this.#needsBitmap(block) && this.#bitmaps.peek(block) === undefined) unknown.push(block);
    }
    const none = new Map<number, SectorBitmap>();
    return unknown.length === 0
      ? this.#list(offset, length, none)
      : this.#loaded(unknown).then((loaded) => this.#list(offset, length, loaded));
  }

  /** Whole sectors. */
  write(offset: number, data: Uint8Array): Promise<void> {
    const { bytes } = this.#form;
    const first = Math.floor(offset / bytes);
    const end = offset + data.length;
    if (end <= (first + 1) * bytes) return this.#writeInBlock(first, offset - first * bytes, data);
    const parts: Promise<void>[] = [];
    for (let block = first; block * bytes < end; block += 1) {
      const start = Math.max(offset, block * bytes);
      const part = data.subarray(start - offset, Math.min(end, (block + 1) * bytes) - offset);
      parts.push(this.#writeInBlock(block, start - block * bytes, part));
    }
    return settled(parts).then(() => {});
  }

  flush(): Promise<void> {
    return this.#commit.flush();
  }

  /** Forgets every block. What is in flight must have ended. */
  clear(metadataEndsAt: number): void {
    this.#bitmaps.clear();
    this.#full.clear();
    this.#table.clear(metadataEndsAt);
  }

  async #writeInBlock(block: number, inBlock: number, data: Uint8Array): Promise<void> {
    if (this.#full.has(block)) return this.#io.write(this.#dataOf(block) + inBlock, data);
    if (this.#table.entries[block] === UNALLOCATED) {
      this.#table.allocate(block);
      this.#bitmaps.fresh(block);
    }
    const bitmap = await this.#bitmaps.hold(block, this.#table.entries[block] ?? 0);
    try {
      await this.#io.write(this.#dataOf(block) + inBlock, data);
      if (this.#bitmaps.mark(block, bitmap, inBlock / SECTOR, data.length / SECTOR)) this.#full.add(block);
    } finally {
      bitmap.users -= 1;
    }
    if (this.#bitmaps.dirty.size >= MOST_DIRTY) this.#commitEarly();
  }

  /** A failure leaves everything to the next flush, which reports it. */
  #commitEarly(): void {
    this.#commit.flush().catch(() => {});
  }

  #dataOf(block: number): number {
    return (this.#table.entries[block] ?? 0) * SECTOR + this.#form.bitmapBytes;
  }

  #needsBitmap(block: number): boolean {
    return !this.#full.has(block) && this.#table.entries[block] !== UNALLOCATED;
  }

  async #loaded(blocks: readonly number[]): Promise<Map<number, SectorBitmap>> {
    const load = async (block: number): Promise<readonly [number, SectorBitmap]> => [
      block,
      await this.#bitmaps.load(block, this.#table.entries[block] ?? 0),
    ];
    return new Map(await settled(blocks.map(load)));
  }

  #list(offset: number, length: number, loaded: ReadonlyMap<number, SectorBitmap>): readonly Extent[] {
    const { bytes } = this.#form;
    const list = new ExtentList();
    const end = offset + length;
    for (let start = offset; start < end; ) {
      const block = Math.floor(start / bytes);
      const stop = Math.min(end, (block + 1) * bytes);
      const bitmap = loaded.get(block) ?? this.#bitmaps.peek(block);
      if (this.#full.has(block)) list.add(start, stop - start, this.#dataOf(block) + start - block * bytes);
      else if (bitmap === undefined) list.add(start, stop - start, ABSENT);
      else this.#addRuns(list, block, bitmap.bits, start, stop);
      start = stop;
    }
    return list.extents;
  }

  #addRuns(list: ExtentList, block: number, bits: Buffer, start: number, stop: number): void {
    const base = block * this.#form.bytes;
    const data = this.#dataOf(block);
    const lastSector = Math.ceil((stop - base) / SECTOR);
    for (let from = start; from < stop; ) {
      const sector = Math.floor((from - base) / SECTOR);
      const to = Math.min(stop, base + runEnd(bits, sector, lastSector) * SECTOR);
      list.add(from, to - from, testBit(bits, sector) ? data + from - base : ABSENT);
      from = to;
    }
  }
}
