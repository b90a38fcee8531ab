import type { VdiUuid } from '../base/ids.ts';
import { type Mending, type Step, step } from '../base/steps.ts';
import type { LvReport } from '../lvm/report.ts';
import { runSteps } from '../system/running-steps.ts';
import type { ActivationWorld, DeactivationWorld } from './chain-activation.ts';
import type { VdiNode } from './lv-table.ts';

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
export async function replaceChain(world: ActivationWorld, chain: readonly VdiNode[]): Promise<void> {
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) return;
  // Those under it that were active before have kept their places: the guest waits for each that is looked at.
  const isKept = (node: VdiNode): boolean => node.active && world.counts.read(node.uuid).normal > 0;
  for (const node of ancestors.toReversed().filter((one) => !isKept(one))) {
    await world.counts.locked(node.uuid, () => runSteps(replacementSteps, { world, node }));
  }
  await world.counts.locked(leaf.uuid, async () => void (await world.lvm.activateAfresh(leaf.lvName)));
}

/** The making active of one ancestor. */
interface Replacement {
  readonly world: ActivationWorld;
  readonly node: VdiNode;
}

const again: Mending = { by: ['sr_scan'], says: 'sr_scan resumes the disk' };

/** What is done with each ancestor, the base first; the leaf follows. */
export const replacementSteps: readonly Step<Replacement>[] = [
  step('chain-replacement.active', ({ world, node }) => world.lvm.activateAfresh(node.lvName), {
    does: 'each ancestor, the base first: LVM activates it, and loads its table anew',
    leaves: { id: 'paused-ancestor-active', says: 'a paused disk, and an ancestor that nobody may count' },
    mendedBy: again,
  }),
  step('chain-replacement.counted', count, {
    does: 'it is counted, where it was not',
    leaves: { id: 'paused-ancestor-counted', says: 'the same, counted' },
    mendedBy: again,
  }),
];

function count({ world, node }: Replacement): void {
  const { normal, binary } = world.counts.read(node.uuid);
  if (normal + binary === 0) world.counts.get(node.uuid, 'normal');
}
