import type { BlockIo } from '../../base/block-io.ts';
import { SECTOR } from '../../base/units.ts';
import type { BlockTable } from './block-table.ts';
import type { SectorBitmaps } from './sector-bitmaps.ts';
import { settled } from '../../base/settle.ts';

/**
 * Makes what was written durable, data before pointers (docs/recovery.md):
 *
 * 1. the bitmaps of new blocks, which nothing points to yet;
 * 2. flush: data and those bitmaps are on the disk;
 * 3. the BAT entries of the new blocks, and the bitmaps of blocks that were reachable before;
 * 4. flush.
 *
 * Cut at any moment, the disk shows each sector as it was before or as it was written. A write is answered before its
 * pointers are on the disk, so a storm of small writes costs one pair of flushes per flush of the guest, not one per
 * write.
 */
export class Commit {
  readonly #io: BlockIo;
  readonly #batOffset: number;
  readonly #table: BlockTable;
  readonly #bitmaps: SectorBitmaps;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(io: BlockIo, batOffset: number, table: BlockTable, bitmaps: SectorBitmaps) {
    this.#io = io;
    this.#batOffset = batOffset;
    this.#table = table;
    this.#bitmaps = bitmaps;
  }

  /** Whoever asks while one commit runs shares the next one. */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const start = (): Promise<void> => {
      this.#next = undefined;
      return this.#commit();
    };
    this.#next = this.#running.then(start, start);
    this.#running = this.#next;
    return this.#next;
  }

  async #commit(): Promise<void> {
    const table = this.#table;
    if (this.#bitmaps.dirty.size === 0 && table.unwritten.size === 0) return this.#io.flush();
    const dirty = this.#bitmaps.depart();
    const entries = [...table.unwritten];
    const fresh = dirty.filter((block) => table.unreachable.has(block));
    const reachable = dirty.filter((block) => !table.unreachable.has(block)).map((block) => this.#snapshot(block));
    const created = [...table.unreachable];
    try {
      await settled(fresh.map((block) => this.#snapshot(block)()));
      await this.#io.flush();
      for (const block of created) table.unreachable.delete(block);
      const pieces = table.unwrittenPieces();
      const writeEntries = pieces.map(({ offset, bytes }) => this.#io.write(this.#batOffset + offset, bytes));
      await settled([...writeEntries, ...reachable.map((write) => write())]);
      await this.#io.flush();
      for (const block of entries) table.unwritten.delete(block);
      this.#bitmaps.arrived(true);
    } catch (error) {
      this.#bitmaps.arrived(false);
      throw error;
    }
  }

  /** Writes the bitmap as it is now: bits that are set later belong to data that this commit's first flush may miss. */
  #snapshot(block: number): () => Promise<void> {
    const sector = this.#table.entries[block] ?? 0;
    const bits = Buffer.from(this.#bitmaps.peek(block)?.bits ?? []);
    return () => this.#io.write(sector * SECTOR, bits);
  }
}
