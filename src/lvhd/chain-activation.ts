import { RbdsrError } from '../base/error.ts';
import { undo } from '../base/undo.ts';
import type { Lvm } from '../lvm/lvm.ts';
import { faultPoint } from '../system/fault-point.ts';
import type { VdiNode } from './lv-table.ts';
import type { RefCounts } from './refcount.ts';

export interface DeactivationWorld {
  readonly lvm: Pick<Lvm, 'deactivate'>;
  readonly counts: RefCounts;
}

export interface ActivationWorld extends DeactivationWorld {
  readonly lvm: Pick<Lvm, 'activate' | 'activateAfresh' | 'refreshStale' | 'deactivate'> & {
    forCleanUp(): Pick<Lvm, 'deactivate'>;
  };
}

/**
 * Makes every volume of a chain (leaf first) active on this host: all or none. The ancestors are counted before the
 * leaf, whose count is set last: what a crash leaves is an ancestor that stays active too long, never one that goes
 * away under a running disk. Of a leaf that is counted already what is inactive is activated again; its own table may
 * be from before it grew, by a call that died between the two.
 */
export async function activateChain(world: ActivationWorld, chain: readonly VdiNode[]): Promise<void> {
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) return;
  if (world.counts.read(leaf.uuid).binary === 1) {
    for (const node of chain) if (!node.active) await world.lvm.activate(node.lvName);
    if (leaf.active) await world.lvm.refreshStale(leaf.lvName);
    return;
  }
  const done: VdiNode[] = [];
  const kind = (node: VdiNode): 'normal' | 'binary' => (node === leaf ? 'binary' : 'normal');
  try {
    for (const node of [...ancestors.toReversed(), leaf]) {
      await activateOne(world, node, kind(node));
      done.push(node);
      faultPoint('chain-activation.after-one');
    }
  } catch (error) {
    const undoing = forCleanUp(world);
    const steps = done.toReversed().map((node) => {
      const deactivate = (): Promise<void> => deactivateOne(undoing, node, kind(node));
      return [`the activation of ${node.lvName}`, deactivate] as const;
    });
    return undo(error, Object.fromEntries(steps));
  }
}

/** For undoing what went wrong (Deadline.forCleanUp). */
export function forCleanUp({ lvm, counts }: ActivationWorld): DeactivationWorld {
  return { lvm: lvm.forCleanUp(), counts: counts.forCleanUp() };
}

/**
 * The reverse, the leaf first. Where the leaf is not counted, its ancestors have been released, or never were taken. An
 * ancestor that LVM does not let go stays, counted, and keeps no other: the disk is in use no more once its leaf is
 * released. Answers those that stay.
 */
export async function deactivateChain(world: DeactivationWorld, chain: readonly VdiNode[]): Promise<readonly Held[]> {
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) return [];
  const counted = world.counts.read(leaf.uuid).binary === 1;
  if (!counted && !leaf.active) return [];
  await deactivateOne(world, leaf, 'binary');
  faultPoint('chain-activation.after-leaf-released');
  if (!counted) return [];
  const held: Held[] = [];
  for (const node of ancestors) {
    try {
      await deactivateOne(world, node, 'normal');
    } catch (error) {
      if (!(error instanceof RbdsrError) || error.code === 'deadline') throw error;
      held.push({ lvName: node.lvName, error });
    }
  }
  return held;
}

/** A volume that is active still, and why. */
export interface Held {
  readonly lvName: string;
  readonly error: RbdsrError;
}

/**
 * The count says last that the volume is active: a crash before that leaves one that nobody counts. The first reason
 * takes nothing for granted that is active already (sm `lvmcache.activate`).
 */
async function activateOne({ lvm, counts }: ActivationWorld, node: VdiNode, kind: 'normal' | 'binary'): Promise<void> {
  await counts.locked(node.uuid, async () => {
    const { normal, binary } = counts.read(node.uuid);
    if (normal + binary === 0) {
      await lvm.activateAfresh(node.lvName);
      faultPoint('chain-activation.before-count');
    } else if (!node.active) await lvm.activate(node.lvName);
    counts.get(node.uuid, kind);
  });
}

/** Where LVM does not let the volume go, its count stays: it is still in use. */
async function deactivateOne(
  { lvm, counts }: DeactivationWorld,
  node: VdiNode,
  kind: 'normal' | 'binary',
): Promise<void> {
  await counts.locked(node.uuid, async () => {
    const before = counts.read(node.uuid);
    if (counts.put(node.uuid, kind) > 0) return;
    try {
      await lvm.deactivate(node.lvName);
    } catch (error) {
      counts.write(node.uuid, before);
      throw error;
    }
  });
}
