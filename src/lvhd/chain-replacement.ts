import type { VdiUuid } from '../base/ids.ts';
import { type Mending, type Step, step } from '../base/steps.ts';
import type { Lvm } from '../lvm/lvm.ts';
import type { LvReport } from '../lvm/report.ts';
import { runSteps } from '../system/running-steps.ts';
import type { DeactivationWorld } from './chain-activation.ts';
import type { VdiNode } from './lv-table.ts';
import type { RefCounts } from './refcount.ts';

export interface ReplacementWorld {
  readonly lvm: Pick<Lvm, 'activateAllAfresh'>;
  readonly counts: RefCounts;
}

/**
 * While the data path of a disk is paused its volume lets go, so that it can get another name: LVM elsewhere goes by
 * names alone. It stays counted as in use.
 */
export async function releaseLeaf({ lvm, counts }: DeactivationWorld, leaf: VdiNode): Promise<void> {
  await counts.locked(leaf.uuid, () => lvm.deactivate(leaf.lvName));
}

/**
 * The volume of a node on which nothing hangs any more: none of those that counted it would uncount it. Its count goes
 * last, so that a crash leaves what can be released again.
 */
export async function releaseNode(
  { lvm, counts }: DeactivationWorld,
  uuid: VdiUuid,
  lv: Pick<LvReport, 'name' | 'active'> | undefined,
): Promise<void> {
  await counts.locked(uuid, async () => {
    if (lv?.active === true) await lvm.deactivate(lv.name);
    counts.write(uuid, { normal: 0, binary: 0 });
  });
}

/**
 * Makes the chain of such a disk active again, leaf first in `chain`, whatever it has become meanwhile: an ancestor
 * that nobody counts is new to it, and is counted; a device that is there already may have the table of another time.
 */
export async function replaceChain(world: ReplacementWorld, chain: readonly VdiNode[]): Promise<void> {
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) return;
  // Those under it that were active before have kept their places: the guest waits for each that is looked at.
  const isKept = (node: VdiNode): boolean => node.active && world.counts.read(node.uuid).normal > 0;
  const fresh = ancestors.toReversed().filter((node) => !isKept(node));
  await lockedTogether(world, [...fresh, leaf], () => runSteps(replacementSteps, { world, fresh, leaf }));
}

/** The locks of all of them, the base's first: nobody who holds two takes them in another order. */
function lockedTogether(
  { counts }: Pick<ReplacementWorld, 'counts'>,
  [first, ...others]: readonly VdiNode[],
  work: () => Promise<void>,
): Promise<void> {
  if (first === undefined) return work();
  return counts.locked(first.uuid, () => lockedTogether({ counts }, others, work));
}

/** The making active of what is new to the disk, and of its leaf. */
interface Replacement {
  readonly world: ReplacementWorld;
  /** The base first. */
  readonly fresh: readonly VdiNode[];
  readonly leaf: VdiNode;
}

const again: Mending = { by: ['sr_scan'], says: 'sr_scan resumes the disk' };

/** A guest waits for them: one LVM command for all the volumes. */
export const replacementSteps: readonly Step<Replacement>[] = [
  step('chain-replacement.active', activate, {
    does: 'LVM activates the leaf, and each ancestor that is new to it, in one command; a table that was there is loaded anew',
    leaves: { id: 'paused-ancestor-active', says: 'a paused disk, active, on an ancestor that nobody may count' },
    mendedBy: again,
  }),
  step('chain-replacement.counted', count, {
    does: 'these ancestors are counted, where they were not',
    leaves: { id: 'paused-ancestor-counted', says: 'the same, counted' },
    mendedBy: again,
  }),
];

function activate({ world, fresh, leaf }: Replacement): Promise<void> {
  return world.lvm.activateAllAfresh([...fresh, leaf].map(({ lvName }) => lvName));
}

function count({ world, fresh }: Replacement): void {
  for (const { uuid } of fresh) {
    const { normal, binary } = world.counts.read(uuid);
    if (normal + binary === 0) world.counts.get(uuid, 'normal');
  }
}
