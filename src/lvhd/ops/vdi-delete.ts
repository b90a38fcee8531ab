import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import { lvNamed, type VgReport } from '../../lvm/report.ts';
import { type OpenPv, volumesByExtents } from '../extent-open.ts';
import type { VdiNode } from '../lv-table.ts';
import { DELETED_TAG } from '../names.ts';
import type { VdiTree } from '../tree.ts';
import { setHidden } from './new-base.ts';

/**
 * 'vdi-delete' for a disk others are built on, or may be, 'vdi-in-use' for one that is open here, 'vdi-type' for a
 * foreign one. Whether an unreadable one is a base copy its header would say: unless it is a disk of a user's, as xapi
 * has it, it may be. Pure.
 */
export function checkDeletable(node: VdiNode, tree: VdiTree, { isUsers = false } = {}): void {
  if (node.kind === 'foreign' && node.scanError !== undefined) throw node.scanError;
  const children = tree.children(node.uuid);
  if (children.length > 0) {
    throw new RbdsrError('vdi-delete', {
      what: `VDI ${node.uuid} is the base of other disks`,
      found: children.map(({ uuid }) => uuid).join(', '),
      todo: 'Delete those first.',
    });
  }
  const mayBeBase = node.hidden || (node.scanError !== undefined && !isUsers);
  const unread = mayBeBase ? tree.unreadable().find(({ uuid }) => uuid !== node.uuid) : undefined;
  if (unread !== undefined) {
    throw new RbdsrError('vdi-delete', {
      what: `VDI ${node.uuid} ${node.hidden ? 'is hidden' : 'cannot be read'}, and may be the base of a disk whose header cannot be read`,
      found: unread.lvName,
      todo: `Mend or delete VDI ${unread.uuid} first.`,
    });
  }
  if (node.open) throw new RbdsrError('vdi-in-use', { what: `VDI ${node.uuid} is open on this host` });
}

/**
 * From now on no scan shows the disk, whatever happens to the command: in the footers of a VHD, as a tag of a raw
 * volume.
 */
export async function hideVdi(
  world: { readonly lvm: Lvm; readonly openPv: OpenPv },
  report: VgReport,
  node: VdiNode,
): Promise<void> {
  if (!node.hidden) await setHidden(volumesByExtents(world), report, node, true);
}

/**
 * After the disk is hidden, or in place of that (lv-table.ts): says that it was a user's disk. A base copy whose last
 * child is gone is hidden too, but may be active on other hosts, which only a collector looks at.
 */
export async function markDeleted(world: { readonly lvm: Lvm }, report: VgReport, node: VdiNode): Promise<void> {
  if (!isMarked(report, node)) await world.lvm.addTag(node.lvName, DELETED_TAG);
}

/**
 * Volumes of deletions that were cut short. Certain are those that are hidden, that nothing hangs on, that are not in
 * use here, and that were a user's disk: by their mark, or because xapi still has them as one (`managed`), for nothing
 * but a deletion hides such a disk. The caller has seen every header of a disk that stays, and no journal of stock's,
 * so that no child is overlooked. Pure.
 */
export function unfinishedDeletions(
  report: VgReport,
  tree: VdiTree,
  managed: ReadonlySet<VdiUuid>,
): readonly VdiNode[] {
  return tree.nodes.filter(
    (node) =>
      node.hidden &&
      !node.open &&
      tree.children(node.uuid).length === 0 &&
      (isMarked(report, node) || managed.has(node.uuid)),
  );
}

function isMarked(report: VgReport, node: VdiNode): boolean {
  return lvNamed(report, node.lvName)?.tags.includes(DELETED_TAG) === true;
}
