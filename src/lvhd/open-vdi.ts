import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { openChain } from '../vhd/chain/chain.ts';
import type { OpenParent } from '../vhd/chain/open-parents.ts';
import type { OpenLv } from './journal/journals.ts';
import type { VdiTree } from './tree.ts';

/**
 * The content of a VDI as a guest sees it: its own blocks over its ancestors'. Opens every LV of the chain, the leaf in
 * `mode`, ancestors for reading; closing it closes them all. Footers count as for the scan that made the tree.
 * 'vdi-missing', 'vhd-corrupt'.
 */
export async function openVdi(
  tree: VdiTree,
  uuid: VdiUuid,
  openLv: OpenLv,
  mode: 'read' | 'write' = 'read',
): Promise<BlockIo> {
  const [leaf, ...ancestors] = tree.chain(uuid);
  if (leaf === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${uuid} in this SR` });
  const leafIo = await openLv(leaf.lvName, mode);
  if (leaf.kind === 'aio') return leafIo;
  const next = ancestors.values();
  try {
    return await openChain(leafIo, mode, openParent, { copyFirst: true });
  } catch (error) {
    await leafIo.close();
    throw error;
  }

  async function openParent(): ReturnType<OpenParent> {
    const parent = next.next().value;
    if (parent === undefined) {
      throw new RbdsrError('vhd-corrupt', {
        what: `the chain of VDI ${uuid} names one more parent than the scan found`,
      });
    }
    const io = await openLv(parent.lvName, 'read');
    return parent.kind === 'aio' ? { raw: io } : io;
  }
}
