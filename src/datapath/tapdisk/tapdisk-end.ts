import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import { type DiskLinks, linkTarget, nodeNumbers, removeLinks, removeServiceLinks } from '../links.ts';
import type { TapCtl } from './tap-ctl.ts';
import type { Tapdisk } from './tapdisk-list.ts';
import type { TapdiskNote } from './tapdisk-note.ts';

/** What is left of a disk's tapdisk, and its names. */
interface Remains {
  readonly tapCtl: TapCtl;
  readonly links: DiskLinks;
  readonly note: TapdiskNote;
  /** That serves it. */
  readonly running: { readonly pid: number; readonly minor: number } | undefined;
}

/**
 * Ends a tapdisk, and takes its names away. Finishes what was cut short, too: then the tapdisk has no image any more
 * and only the node tells its minor.
 */
export async function endTapdisk(remains: Remains): Promise<void> {
  const { tapCtl, links, note, running } = remains;
  await runSteps(closeSteps, remains);
  await note.takeAway(tapCtl, links.phy);
  const minor = running?.minor ?? minorOf(links);
  await releaseMinor(tapCtl, minor, await listed(tapCtl, minor), links);
  await runSteps(unlinkSteps, remains);
}

/** What a crash left: links whose tapdisk is gone or without an image. Those that lead to one that serves stay. */
export async function removeStale(tapCtl: TapCtl, links: DiskLinks): Promise<void> {
  const minor = minorOf(links);
  if (minor === undefined) return;
  const present = await listed(tapCtl, minor);
  if (present?.image === undefined) await releaseMinor(tapCtl, minor, present, links);
}

async function listed(tapCtl: TapCtl, minor: number | undefined): Promise<Tapdisk | undefined> {
  return minor === undefined ? undefined : (await tapCtl.list(minor))[0];
}

/**
 * Detaches and frees the minor unless it serves an image: then it is another disk's, whatever our node says. The links
 * go before the minor does, so that none of them can ever lead to the next disk that gets it; a crash between the two
 * costs a minor. `present` is what tap-ctl lists of it.
 */
async function releaseMinor(
  tapCtl: TapCtl,
  minor: number | undefined,
  present: Tapdisk | undefined,
  links: DiskLinks,
): Promise<void> {
  const ours = present?.image === undefined ? present : undefined;
  await runSteps(releaseSteps, { tapCtl, links, minor, ours, isListed: present !== undefined });
}

interface Release {
  readonly tapCtl: TapCtl;
  readonly links: DiskLinks;
  readonly minor: number | undefined;
  /** What tap-ctl lists of it, where it serves nobody. */
  readonly ours: Tapdisk | undefined;
  /** Whether it lists the minor at all. */
  readonly isListed: boolean;
}

const goesOn: Mending = {
  by: ['vdi_activate', 'vdi_deactivate'],
  says: 'what mends the whole',
};

const closeSteps: readonly Step<Remains>[] = [
  step('tapdisk.closed', close, {
    does: 'the image is closed, with all that was written on the disk',
    leaves: { id: 'tapdisk-closed', says: 'a tapdisk without an image, to which the names lead' },
    mendedBy: goesOn,
    when: ({ running }) => running !== undefined,
  }),
];

const releaseSteps: readonly Step<Release>[] = [
  step('tapdisk.detached', detach, {
    does: 'the process ends',
    leaves: { id: 'tapdisk-detached', says: 'a minor without a process, to which the names lead' },
    mendedBy: goesOn,
    when: ({ ours }) => ours?.pid !== undefined,
  }),
  step('tapdisk.unlinked', ({ links }) => removeServiceLinks(links), {
    does: 'the node and the NBD link go',
    leaves: { id: 'tapdisk-unlinked', says: "a minor that is nobody's, and the link to the volume" },
    mendedBy: { ...goesOn, says: `${goesOn.says}; the minor is lost until the host starts anew` },
  }),
  step('tapdisk.freed', free, {
    does: 'the minor is given back',
    leaves: { id: 'tapdisk-freed', says: 'the link to the volume' },
    mendedBy: goesOn,
    when: ({ minor, ours, isListed }) => minor !== undefined && (ours !== undefined || !isListed),
  }),
];

const unlinkSteps: readonly Step<Remains>[] = [
  lastStep(({ links }) => removeLinks(links), 'the link to the volume goes'),
];

/** All of them, in their order. */
export const tapdiskEndSteps = [...closeSteps, ...releaseSteps, ...unlinkSteps];

async function close({ tapCtl, running }: Remains): Promise<void> {
  if (running !== undefined) await tapCtl.close(running.pid, running.minor);
}

async function detach({ tapCtl, minor, ours }: Release): Promise<void> {
  if (ours?.pid !== undefined && minor !== undefined) await tapCtl.detach(ours.pid, minor);
}

async function free({ tapCtl, minor, isListed }: Release): Promise<void> {
  if (minor === undefined) return;
  if (isListed) await tapCtl.free(minor);
  else await tapCtl.freeUnlisted(minor);
}

/** From the node, or where there are none from the NBD link's target. */
function minorOf(links: DiskLinks): number | undefined {
  if (links.backend !== undefined) return nodeNumbers(links.backend)?.minor;
  const minor = links.nbd === undefined ? undefined : /\/nbd[0-9]+\.([0-9]+)$/.exec(linkTarget(links.nbd) ?? '')?.[1];
  return minor === undefined ? undefined : Number(minor);
}
