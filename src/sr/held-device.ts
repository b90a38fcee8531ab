import type { BlockIo } from '../base/block-io.ts';
import type { AttachedSr } from './attached-sr.ts';
import type { SrWork } from './work/work.ts';

/**
 * The same SR for work that holds its lock and may write: its device is opened by the first use, once for all of
 * them, and closed when the command has answered, or by `letGo` before the image is unmapped. A device that a read has
 * not come back from is left to the end of the process.
 */
export function holdDevice(
  work: Pick<SrWork, 'atEnd'>,
  sr: AttachedSr,
): { readonly sr: AttachedSr; readonly letGo: () => Promise<void> } {
  let device: Promise<BlockIo> | undefined;
  let users = 0;
  const letGo = async (): Promise<void> => {
    if (device === undefined || users > 0) return;
    const opened = device;
    device = undefined;
    await (await opened).close();
  };
  const openPv = async (): Promise<BlockIo> => {
    if (device === undefined) {
      device = sr.openPv('write');
      work.atEnd(letGo);
    }
    users += 1;
    try {
      return shared(await device);
    } catch (error) {
      users -= 1;
      device = undefined;
      throw error;
    }
  };
  return { sr: { ...sr, openPv, lvm: sr.lvm.lookingThrough(openPv) }, letGo };

  function shared(io: BlockIo): BlockIo {
    let isUsed = true;
    return {
      name: io.name,
      size: io.size,
      read: (offset, length) => io.read(offset, length),
      write: (offset, data) => io.write(offset, data),
      flush: () => io.flush(),
      close: async () => {
        if (isUsed) users -= 1;
        isUsed = false;
      },
    };
  }
}
