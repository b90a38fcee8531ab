import { openBlockIo } from '../system/io/block-device.ts';
import { type PvLabel, readPvLabel } from './lvm-label.ts';

/** What LVM's label on the device says, read without LVM; undefined where there is none. */
export async function labelOf(device: string): Promise<PvLabel | undefined> {
  const io = await openBlockIo(device, 'read');
  try {
    return await readPvLabel(io);
  } finally {
    await io.close();
  }
}
