import { RbdsrError } from '../base/error.ts';
import { type Mending, type Step, step } from '../base/steps.ts';
import { undo } from '../base/undo.ts';
import type { Lvm } from '../lvm/lvm.ts';
import { runSteps } from '../system/running-steps.ts';
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

/** What of a volume it takes to let it go. */
export type ChainVolume = Pick<VdiNode, 'uuid' | 'lvName' | 'active'>;

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
  const done: Place[] = [];
  const places = [...ancestors.toReversed().map(asAncestor), asLeaf(leaf)];
  try {
    for (const place of places) {
      await locked(world, place, () => runSteps(activationSteps[place.as], activationOf(world, place)));
      done.push(place);
    }
  } catch (error) {
    const undoing = forCleanUp(world);
    const steps = done.toReversed().map((place) => {
      const deactivate = (): Promise<void> => deactivateOne(undoing, place);
      return [`the activation of ${place.node.lvName}`, deactivate] as const;
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
export async function deactivateChain(
  world: DeactivationWorld,
  chain: readonly ChainVolume[],
): Promise<readonly Held[]> {
  const [leaf, ...ancestors] = chain;
  if (leaf === undefined) return [];
  const counted = world.counts.read(leaf.uuid).binary === 1;
  if (!counted && !leaf.active) return [];
  await deactivateOne(world, asLeaf(leaf));
  if (!counted) return [];
  const held: Held[] = [];
  for (const place of ancestors.map(asAncestor)) {
    try {
      await deactivateOne(world, place);
    } catch (error) {
      if (!(error instanceof RbdsrError) || error.code === 'deadline') throw error;
      held.push({ lvName: place.node.lvName, error });
    }
  }
  return held;
}

/** A volume that is active still, and why. */
export interface Held {
  readonly lvName: string;
  readonly error: RbdsrError;
}

/** A volume of a chain, as what it is counted. */
interface Place {
  readonly node: ChainVolume;
  readonly as: 'ancestor' | 'leaf';
}

const asAncestor = (node: ChainVolume): Place => ({ node, as: 'ancestor' });
const asLeaf = (node: ChainVolume): Place => ({ node, as: 'leaf' });
const COUNTED = { ancestor: 'normal', leaf: 'binary' } as const;

/** The making active of one volume. */
interface Activation extends Place {
  readonly world: ActivationWorld;
  /** Nothing has needed it to be active so far. */
  readonly isFirst: boolean;
}

function activationOf(world: ActivationWorld, place: Place): Activation {
  const { normal, binary } = world.counts.read(place.node.uuid);
  return { world, ...place, isFirst: normal + binary === 0 };
}

const asWhole: Mending = {
  by: ['vdi_activate', 'vdi_deactivate'],
  says: 'what mends the whole',
};
const butAncestor: Mending = {
  ...asWhole,
  says: `${asWhole.says}; the ancestor stays active until the SR is detached`,
};
const unlessActivated: Mending = {
  ...asWhole,
  says: `${butAncestor.says}, or until the disk has been activated again`,
};

/**
 * What is done with each ancestor, the base first, and then with the leaf. The count says last that the volume is
 * active: a crash before that leaves one that nobody counts. The first reason takes nothing for granted that is active
 * already (sm `lvmcache.activate`).
 */
export const activationSteps: Readonly<Record<Place['as'], readonly Step<Activation>[]>> = {
  ancestor: [
    step('chain-activation.before-count', activateVolume, {
      does: 'each ancestor, the base first: LVM activates it',
      leaves: { id: 'ancestor-uncounted', says: 'an ancestor that is active and that nobody counts' },
      mendedBy: unlessActivated,
      when: isMissing,
    }),
    step('chain-activation.after-one', countVolume, {
      does: 'it is counted',
      leaves: { id: 'ancestor-counted', says: 'an ancestor that is active, and counted, for no disk' },
      mendedBy: butAncestor,
    }),
  ],
  leaf: [
    step('chain-activation.before-count', activateVolume, {
      does: 'the leaf: LVM activates it',
      leaves: { id: 'leaf-uncounted', says: 'the same, and a leaf that is active and that nobody counts' },
      mendedBy: butAncestor,
      when: isMissing,
    }),
    step('chain-activation.after-one', countVolume, {
      does: 'it is counted as in use',
      leaves: { id: 'volumes-active', says: 'the whole chain active and counted' },
      mendedBy: asWhole,
    }),
  ],
};

function isMissing({ node, isFirst }: Activation): boolean {
  return !node.active || isFirst;
}

async function activateVolume({ world, node, isFirst }: Activation): Promise<void> {
  if (isFirst) await world.lvm.activateAfresh(node.lvName);
  else await world.lvm.activate(node.lvName);
}

function countVolume({ world, node, as }: Activation): void {
  world.counts.get(node.uuid, COUNTED[as]);
}

/** The letting go of one volume. */
interface Deactivation extends Place {
  readonly world: DeactivationWorld;
  /** How many reasons are left for it to be active. */
  reasons: number;
}

/** The reverse: what is done with the leaf, and then with each ancestor, where the leaf was counted. */
export const deactivationSteps: Readonly<Record<Place['as'], readonly Step<Deactivation>[]>> = {
  leaf: [
    step('chain-activation.leaf-uncounted', uncountVolume, {
      does: 'the leaf is counted no more',
      leaves: { id: 'leaf-active-uncounted', says: 'a chain that is active, of which the leaf is not counted' },
      mendedBy: butAncestor,
    }),
    step('chain-activation.after-leaf-released', deactivateVolume, {
      does: 'LVM deactivates it, where no other reason is left',
      leaves: { id: 'ancestors-only', says: 'ancestors that are active and counted' },
      mendedBy: butAncestor,
      when: hasNoReason,
    }),
  ],
  ancestor: [
    step('chain-activation.ancestor-uncounted', uncountVolume, {
      does: 'each ancestor, the nearest first, is counted once less',
      leaves: { id: 'ancestor-active-uncounted', says: 'an ancestor that is active and that nobody counts' },
      mendedBy: unlessActivated,
    }),
    step('chain-activation.after-ancestor-released', deactivateVolume, {
      does: 'LVM deactivates it, where no other reason is left',
      leaves: { id: 'mark-with-room', says: 'a chain of which nothing is active' },
      mendedBy: asWhole,
      when: hasNoReason,
    }),
  ],
};

/** Where LVM does not let the volume go, its count stays: it is still in use. */
async function deactivateOne(world: DeactivationWorld, place: Place): Promise<void> {
  await locked(world, place, async () => {
    const before = world.counts.read(place.node.uuid);
    try {
      await runSteps(deactivationSteps[place.as], { world, ...place, reasons: 0 });
    } catch (error) {
      world.counts.write(place.node.uuid, before);
      throw error;
    }
  });
}

function uncountVolume(deactivation: Deactivation): void {
  const { world, node, as } = deactivation;
  deactivation.reasons = world.counts.put(node.uuid, COUNTED[as]);
}

function hasNoReason({ reasons }: Deactivation): boolean {
  return reasons === 0;
}

async function deactivateVolume({ world, node }: Deactivation): Promise<void> {
  await world.lvm.deactivate(node.lvName);
}

function locked<T>({ counts }: DeactivationWorld, { node }: Place, action: () => Promise<T>): Promise<T> {
  return counts.locked(node.uuid, action);
}
