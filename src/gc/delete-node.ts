import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import { runSteps } from '../system/running-steps.ts';
import { planCollection } from './plan.ts';
import type { CollectorWorld } from './world.ts';

/** The removal of one node. */
interface Removal {
  readonly world: CollectorWorld;
  readonly node: VdiNode;
  /** A `coalesce` journal of it: nobody merges what nothing hangs on. */
  readonly journals: readonly string[];
}

/**
 * Removes garbage, under the SR's lock, once no host has it active any more. 'vdi-unavailable' where it is none any
 * more, 'lock-busy' where a host does not say so.
 */
export async function deleteNode(world: CollectorWorld, uuid: VdiUuid): Promise<void> {
  await world.releasedEverywhere(uuid);
  await world.locked(async ({ forest }) => {
    const { steps } = planCollection(forest, () => undefined);
    const found = steps.find(({ kind, node }) => kind === 'delete' && node.uuid === uuid);
    if (found === undefined) {
      throw new RbdsrError('vdi-unavailable', { what: `VDI ${uuid} is not garbage any more` });
    }
    const journals = forest.journalsOf(uuid).map(({ lvName }) => lvName);
    await runSteps(removalOfNodeSteps, { world, node: found.node, journals });
  });
}

/**
 * Removes the leaf that stock has set aside of a disk: its volume alone, for all records with that uuid are the disk's.
 * 'vdi-unavailable' where it is no garbage any more.
 */
export async function deleteSetAside(world: CollectorWorld, uuid: VdiUuid): Promise<void> {
  await world.locked(async ({ forest }) => {
    const { steps } = planCollection(forest, () => undefined);
    const found = steps.find(({ kind, node }) => kind === 'delete-aside' && node.uuid === uuid);
    if (found === undefined) throw new RbdsrError('vdi-unavailable', { what: `of VDI ${uuid} nothing is set aside` });
    await world.lvm.removeLv(found.node.lvName);
  });
}

const goesOn: Mending = { by: ['again'], says: 'the next collection goes on' };

export const removalOfNodeSteps: readonly Step<Removal>[] = [
  step('collect.journal', forgetJournals, {
    does: 'a journal that its merging has left is removed',
    leaves: { id: 'garbage', says: 'the node' },
    mendedBy: goesOn,
    when: ({ journals }) => journals.length > 0,
  }),
  step('collect.metadata', ({ world, node }) => world.forgetMetadata(node.uuid), {
    does: 'its record in the metadata volume is deleted',
    leaves: { id: 'garbage', says: 'the node, without that record' },
    mendedBy: goesOn,
  }),
  step('collect.forgotten', ({ world, node }) => world.forgetRecord(node.uuid), {
    does: 'its record in xapi is removed',
    leaves: { id: 'garbage', says: 'a hidden volume that only takes room' },
    mendedBy: goesOn,
  }),
  lastStep(({ world, node }) => world.lvm.removeLv(node.lvName), '`lvremove`'),
];

async function forgetJournals({ world, journals }: Removal): Promise<void> {
  await world.lvm.removeLvs(journals);
}
