import type { BlockIo } from '../../base/block-io.ts';
import { UNALLOCATED } from '../format/bat.ts';
import {
  batmapChecksum,
  type BatmapHeader,
  BATMAP_HEADER_BYTES,
  hasMapBit,
  usedMapBytes,
  encodeBatmapHeader,
} from '../format/batmap.ts';
import { setBits, testBit } from '../format/bits.ts';
import type { Footer } from '../format/footer.ts';
import type { Header } from '../format/header.ts';
import { batmapHeaderOffset } from '../format/places.ts';

/**
 * Which blocks have all their sectors, so that nobody has to look at their bitmaps. The batmap on the disk is written
 * on close only, as a tapdisk does it: a block never loses a sector, so an old map is a true one that saves less.
 */
export class FullBlocks {
  /** 1 for a full block. */
  readonly #flags: Uint8Array;
  readonly #batmap: BatmapHeader | undefined;
  #stale: boolean;

  private constructor(flags: Uint8Array, batmap: BatmapHeader | undefined, stale: boolean) {
    this.#flags = flags;
    this.#batmap = batmap;
    this.#stale = stale;
  }

  /** A map with a wrong checksum counts as empty. */
  static async load(
    io: BlockIo,
    footer: Footer,
    batmap: BatmapHeader | undefined,
    entries: Uint32Array,
  ): Promise<FullBlocks> {
    const flags = new Uint8Array(entries.length);
    if (batmap === undefined) return new FullBlocks(flags, undefined, false);
    const map = await io.read(batmap.mapOffset, usedMapBytes(footer.currentSize));
    if (batmapChecksum(batmap, footer.currentSize, map) !== batmap.mapChecksum)
      return new FullBlocks(flags, batmap, true);
    for (let block = 0; block < flags.length; block += 1) {
      if (entries[block] !== UNALLOCATED && testBit(map, block)) flags[block] = 1;
    }
    return new FullBlocks(flags, batmap, false);
  }

  has(block: number): boolean {
    return this.#flags[block] === 1;
  }

  add(block: number): void {
    this.#flags[block] = 1;
    this.#stale = true;
  }

  clear(): void {
    this.#flags.fill(0);
    this.#stale = true;
  }

  /**
   * Brings the batmap on the disk up to date. Header and map lie side by side and go out in one write, because the
   * header's checksum covers the map.
   */
  async save(io: BlockIo, footer: Footer, header: Header): Promise<void> {
    if (!this.#stale || this.#batmap === undefined) return;
    const map = Buffer.alloc(usedMapBytes(footer.currentSize));
    for (const [block, full] of this.#flags.entries()) if (full === 1 && hasMapBit(map, block)) setBits(map, block, 1);
    const head = encodeBatmapHeader({
      ...this.#batmap,
      mapChecksum: batmapChecksum(this.#batmap, footer.currentSize, map),
    });
    const at = batmapHeaderOffset(header);
    if (this.#batmap.mapOffset === at + BATMAP_HEADER_BYTES) {
      await io.write(at, Buffer.concat([head, map]));
    } else {
      await io.write(this.#batmap.mapOffset, map);
      await io.write(at, head);
    }
    this.#stale = false;
  }
}
