import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { VhdImage } from '../image/image.ts';
import type { OpenOptions } from '../image/metadata.ts';
import { openParents, type OpenParent, type Parent } from './open-parents.ts';
import { readExtents } from '../image/read-extents.ts';
import { settled } from '../../base/settle.ts';
import { UnalignedWriter } from './unaligned.ts';

/**
 * Opens an image and all its ancestors. `openParent` is asked for one after another, nearest first. 'vhd-corrupt' where
 * a parent is not the one its child names, where the chain runs in a circle or is too long. After a failure the
 * ancestors are closed and `leafIo` is not; later, closing the chain closes them all. `o` is for the whole
 * chain (`VhdImage.open`).
 */
export async function openChain(
  leafIo: BlockIo,
  mode: 'read' | 'write',
  openParent: OpenParent,
  o: OpenOptions = {},
): Promise<VhdChain> {
  const leaf = await VhdImage.open(leafIo, mode, o);
  return new VhdChain(leaf, await openParents(leaf, openParent, o));
}

/** The disk a guest sees: the leaf's sectors over those of its ancestors. Writes go to the leaf. Calls may overlap. */
export class VhdChain implements BlockIo {
  readonly leaf: VhdImage;
  /** Nearest first. */
  readonly parents: readonly Parent[];
  readonly #layers: readonly Parent[];
  readonly #writer: UnalignedWriter;

  constructor(leaf: VhdImage, parents: readonly Parent[]) {
    this.leaf = leaf;
    this.parents = parents;
    this.#layers = [leaf, ...parents];
    this.#writer = new UnalignedWriter({
      read: (offset, length) => this.read(offset, length),
      write: (offset, data) => this.leaf.write(offset, data),
    });
  }

  get name(): string {
    return this.leaf.io.name;
  }

  /** Bytes the guest sees. */
  get size(): number {
    return this.leaf.virtualSizeBytes;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#readFrom(0, offset, length);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (offset < 0 || offset + data.length > this.size) {
      throw new RbdsrError('io', {
        what: `write outside the virtual disk of ${this.name}`,
        expected: `a range below ${this.size} bytes`,
        found: `${data.length} bytes at offset ${offset}`,
      });
    }
    if (data.length > 0) await this.#writer.write(offset, data);
  }

  flush(): Promise<void> {
    return this.leaf.flush();
  }

  /** The leaf first, for it may have to be written. */
  async close(): Promise<void> {
    try {
      await this.leaf.close();
    } finally {
      await settled(this.parents.map(({ io }) => io.close()));
    }
  }

  #readFrom(level: number, offset: number, length: number): Promise<Buffer> {
    const layer = this.#layers[level];
    if (layer === undefined) return Promise.resolve(Buffer.alloc(length));
    if (level > 0 && offset + length > layer.virtualSizeBytes) return this.#readAcrossEnd(level, offset, length);
    if (!(layer instanceof VhdImage)) return layer.io.read(offset, length);
    const below = (at: number, bytes: number): Promise<Buffer> => this.#readFrom(level + 1, at, bytes);
    const extents = layer.extents(offset, length);
    return extents instanceof Promise
      ? extents.then((loaded) => readExtents(layer.io, loaded, layer.form.bytes, below))
      : readExtents(layer.io, extents, layer.form.bytes, below);
  }

  /** A parent smaller than its child shows zeroes behind its end. */
  async #readAcrossEnd(level: number, offset: number, length: number): Promise<Buffer> {
    const out = Buffer.alloc(length);
    const inside = (this.#layers[level]?.virtualSizeBytes ?? 0) - offset;
    if (inside > 0) (await this.#readFrom(level, offset, inside)).copy(out);
    return out;
  }
}
