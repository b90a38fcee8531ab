import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { openChain } from '../../vhd/chain/chain.ts';
import type { OpenParent, ParentReference } from '../../vhd/chain/open-parents.ts';
import type { Disk } from '../datapath.ts';

/**
 * The disk as a guest sees it. O_DIRECT throughout, files included, for another host may write to the same device
 * tomorrow; a writable logical volume is opened exclusively, so that no second server of ours can ever write to it.
 * Where the footers of a VHD differ, the one counts that the scan of the SR has seen.
 */
export async function openDisk(disk: Pick<Disk, 'kind' | 'target' | 'writable' | 'parents'>): Promise<BlockIo> {
  const mode = disk.writable ? 'write' : 'read';
  const leaf = await openBlockIo(disk.target, mode, { direct: true, exclusive: disk.writable });
  if (disk.kind === 'aio') return leaf;
  const parents = [...disk.parents];
  try {
    return await openChain(leaf, mode, openParent, { copyFirst: true });
  } catch (error) {
    await leaf.close();
    throw error;
  }

  async function openParent(reference: ParentReference): ReturnType<OpenParent> {
    const parent = parents.shift();
    if (parent === undefined) throw unlistedParent(disk.target, reference);
    const io = await openBlockIo(parent.path, 'read', { direct: true });
    return parent.kind === 'aio' ? { raw: io } : io;
  }
}

function unlistedParent(target: string, reference: ParentReference): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: `the chain of ${target} is longer than the list of its parents`,
    found: `one more parent: ${JSON.stringify(reference)}`,
  });
}
