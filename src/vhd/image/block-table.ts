import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { BAT_ENTRY, encodeBat, UNALLOCATED } from '../format/bat.ts';
import { type BlockForm, dataEnd, nextBlockSector, SR_BLOCK } from '../format/places.ts';

const ENTRIES_PER_SECTOR = SECTOR / BAT_ENTRY;

/** A piece of the BAT as it has to be on the disk: bytes from the start of the table. */
export interface BatPiece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The BAT in memory: where each block lies, and which entries the disk does not have yet. */
export class BlockTable {
  /** One entry per block of the virtual size. */
  readonly entries: Uint32Array;
  /** Allocated since the last commit began: the disk must not show their entries before their data is on it. */
  readonly unreachable = new Set<number>();
  /** Entries to write. */
  readonly unwritten = new Set<number>();
  readonly #sectors: Uint32Array;
  readonly #room: { readonly name: string; readonly endsAt: number };
  #end: number;

  /**
   * `sectors`: whole sectors of the BAT. `metadataEndsAt` and `room.endsAt`: between these bytes blocks may lie. Only
   * blocks of an SR's size are ever allocated.
   */
  constructor(
    sectors: Uint32Array,
    blocks: number,
    metadataEndsAt: number,
    room: { readonly name: string; readonly endsAt: number },
    form: BlockForm = SR_BLOCK,
  ) {
    this.#sectors = sectors;
    this.entries = sectors.subarray(0, blocks);
    this.#room = room;
    this.#end = dataEnd(this.entries, metadataEndsAt, form);
  }

  /** The byte behind the last block. */
  get dataEnd(): number {
    return this.#end;
  }

  get allocatedBlocks(): number {
    let count = 0;
    for (const entry of this.entries) if (entry !== UNALLOCATED) count += 1;
    return count;
  }

  /** Gives `block` the place behind the last one; its sector. 'sr-full' where the device ends before. */
  allocate(block: number): number {
    const sector = nextBlockSector(this.#end);
    const end = sector * SECTOR + SR_BLOCK.storedBytes;
    if (end > this.#room.endsAt || sector >= UNALLOCATED) {
      throw new RbdsrError('sr-full', {
        what: `${this.#room.name} has no room for one more block of its VHD`,
        expected: `${end} bytes and a footer`,
        found: `${this.#room.endsAt} bytes and a footer`,
        todo: 'Its logical volume has to be inflated before the disk is written.',
      });
    }
    this.#end = end;
    this.entries[block] = sector;
    this.unreachable.add(block);
    this.unwritten.add(block);
    return sector;
  }

  /** Takes the place of every block away; the entries have to be written. */
  clear(metadataEndsAt: number): void {
    for (const [block, entry] of this.entries.entries()) if (entry !== UNALLOCATED) this.unwritten.add(block);
    this.entries.fill(UNALLOCATED);
    this.unreachable.clear();
    this.#end = metadataEndsAt;
  }

  /**
   * What has to be written, in whole sectors, neighbours together; entries that must not be seen yet read as
   * unallocated.
   */
  unwrittenPieces(): BatPiece[] {
    const touched = [...new Set([...this.unwritten].map((block) => Math.floor(block / ENTRIES_PER_SECTOR)))];
    const pieces: BatPiece[] = [];
    let from: number | undefined;
    for (const [i, sector] of touched.sort((a, b) => a - b).entries()) {
      from ??= sector;
      if (touched[i + 1] === sector + 1) continue;
      pieces.push(this.#piece(from, sector + 1));
      from = undefined;
    }
    return pieces;
  }

  #piece(fromSector: number, toSector: number): BatPiece {
    const first = fromSector * ENTRIES_PER_SECTOR;
    const visible = this.#sectors.slice(first, toSector * ENTRIES_PER_SECTOR);
    for (const block of this.unreachable) {
      if (block >= first && block < first + visible.length) visible[block - first] = UNALLOCATED;
    }
    return { offset: first * BAT_ENTRY, bytes: encodeBat(visible) };
  }
}
