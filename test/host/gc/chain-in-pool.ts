import { randomUUID } from 'node:crypto';
import type { VdiUuid } from '../../../src/base/ids.ts';
import { MiB, TiB } from '../../../src/base/units.ts';
import { dmName } from '../../../src/lvm/dm-name.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import type { OpenSr } from '../../support/lvhd-vectors.ts';

export const DISK_BYTES = 8 * MiB;

export interface Link {
  readonly uuid: VdiUuid;
  readonly hidden: boolean;
  readonly parent?: VdiUuid;
  /** Bytes of its virtual disk, each written with the byte behind it. */
  readonly writes: readonly (readonly [offset: number, length: number, byte: number])[];
  /** Of its volume; default 20 MiB. */
  readonly lvBytes?: number;
  /** Of its virtual disk; default that of its parent, at the end of the chain DISK_BYTES. */
  readonly diskBytes?: number;
}

/** Volumes that hang on each other, ancestors first, in a new volume group; what the guest of each sees. */
export async function makeChain(sr: OpenSr, links: readonly Link[]): Promise<ReadonlyMap<VdiUuid, Buffer>> {
  await sr.lvm.createVg();
  return makeLinks(sr, links);
}

/** The same in a volume group that is there. */
export async function makeLinks(sr: OpenSr, links: readonly Link[]): Promise<ReadonlyMap<VdiUuid, Buffer>> {
  const imageUuids = new Map<string, string>();
  const shown = new Map<VdiUuid, Buffer>();
  for (const { uuid, hidden, parent, writes, lvBytes = 20 * MiB, ...more } of links) {
    const below = (parent === undefined ? undefined : shown.get(parent)) ?? Buffer.alloc(DISK_BYTES);
    const bytes = more.diskBytes ?? below.length;
    await sr.lvm.createLv(`VHD-${uuid}`, lvBytes);
    const io = await sr.openLv(`VHD-${uuid}`, 'write');
    const imageUuid = randomUUID();
    imageUuids.set(uuid, imageUuid);
    const made = { virtualSizeBytes: bytes, maxVirtualSizeBytes: 2 * TiB, uuid: imageUuid, timestamp: 0 };
    if (parent === undefined) await createVhd(io, made);
    else {
      const name = dmName(sr.lvm.vg, `VHD-${parent}`);
      await createChild(io, made, { name, uuid: imageUuids.get(parent) ?? '', modified: 0 });
    }
    const image = await VhdImage.open(io, 'write');
    const content = Buffer.concat([below, Buffer.alloc(bytes - below.length)]);
    for (const [offset, length, byte] of writes) {
      await image.write(offset, Buffer.alloc(length, byte));
      content.fill(byte, offset, offset + length);
    }
    if (hidden) await image.setHidden(true);
    await image.flush();
    shown.set(uuid, content);
  }
  return shown;
}
