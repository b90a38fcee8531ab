import { expect } from 'vitest';
import type { Mender, Protocol } from '../../src/base/steps.ts';
import { protocols } from '../../src/main/protocols.ts';

/**
 * Which test walks which protocols, by title (src/main/protocols.ts): it kills at every step, looks whether exactly
 * that is left which the step says, and runs each command that is to mend it, alone. Each test holds its own walks
 * against its row; that no protocol is in none: test/unit/scripts/protocols.test.ts.
 */
export const WALKED = {
  'test/host/sm/every-step.test.ts': [
    'vdi_create',
    'vdi_create of a raw disk',
    'vdi_delete',
    'growing the LV of a VHD',
    'undoing that',
    'ending the tracking of changed blocks',
    'vdi_resize',
    'vdi_resize of a raw disk',
    'the metadata volume at sr_attach',
    'metadata: create',
    'metadata: add',
    'metadata: delete',
  ],
  'test/host/snapshots/every-step.test.ts': ['vdi_snapshot', 'finishing a snapshot', 'undoing a snapshot'],
  'test/host/snapshots/every-step-of-pauses.test.ts': [
    'vdi_snapshot of a disk in use, after its journal',
    'a paused disk goes on, on one host',
  ],
  'test/host/sm/every-step-of-use.test.ts': [
    'vdi_activate',
    'vdi_deactivate',
    'activating a chain',
    'deactivating a chain',
    'starting a tapdisk',
    'ending a tapdisk',
  ],
  'test/host/sm/every-step-of-nbd.test.ts': ['starting an NBD server', 'ending an NBD server'],
  'test/host/access/every-step.test.ts': [
    '`rbdsr rekey` on a diverted SR, keys of SR.sm_config',
    '`rbdsr rekey --key-stdin` on a diverted SR',
    '`rbdsr rekey --remove-old`',
    '`rbdsr remonitor`, with `rbd_monitors`, or `rbd_host_key` for a host key',
    '`rbdsr remonitor --target`',
    '`rbdsr rekey --key-stdin` of SR type rbd',
    'a login in the PBDs of an SR',
    'a login in one PBD',
    'monitors or `target` in one PBD',
  ],
  'test/host/access/every-step-of-keeping.test.ts': [
    'an SR of the wizard keeps how it is got at',
    'an SR of type rbd keeps its key',
  ],
  'test/host/fencing/every-step.test.ts': ['`rbdsr fence`, one client', '`rbdsr unfence`, one client', '`rbdsr grow`'],
  'test/unit/host/every-step.test.ts': [
    'the record of 0.1.0 is brought over',
    '`rbdsr enable`',
    '`rbdsr repair`, where something is amiss',
    'a path is put as its change wants it',
    'a file is replaced from another file system',
    'a path that its change does not want any more',
    '`rbdsr enable` that fails',
    'a path is taken back',
    '`rbdsr disable`',
    'a path is put back',
  ],
  'test/host/sm/every-sr-step.test.ts': ['mapping an image', 'unmapping an image', 'sr_create', 'sr_delete'],
  'test/host/ceph/native-plane.test.ts': ['making an image', 'growing an image'],
  'test/host/gc/every-step.test.ts': ['merging an inner node', 'relinking a child', 'removing garbage'],
  'test/host/gc/every-step-of-leaf.test.ts': [
    'merging a leaf',
    'undoing the merging of a leaf',
    'finishing the merging of a leaf',
  ],
  'test/host/gc/every-step-in-use.test.ts': ['relinking its children'],
  'test/host/lvhd/journals.test.ts': ['a journal with its value inside'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** How a protocol is come to that a driver runs; other tests have walks of their own. */
export interface Walk {
  /** Steps that this disk has no use for, or that are as with another one. */
  readonly without?: readonly string[];
  /** What the call needs; of a disk, its bytes. */
  readonly before?: (bytes: number) => Promise<unknown>;
  readonly call: (bytes: number) => Promise<unknown>;
  /** The call, killed at this point; default as a driver of xapi's is. */
  readonly killed?: (point: string) => Promise<unknown>;
}

interface Walking<Way> {
  /** By the protocol's title; more than one where it goes other ways with other disks. */
  readonly walks: Readonly<Record<string, readonly Way[]>>;
  readonly menders: Readonly<Partial<Record<Mender, unknown>>>;
  /** What each `leaves` of a step looks like, by its id. */
  readonly looks: Readonly<Record<string, unknown>>;
}

/**
 * A row for each step, each command that mends it, and each walk: title, fault point, mender, number, state, walk. A
 * name that is in a list again, as those of a chain are for its leaf, is its next pass.
 */
export function killsOf<Way extends Pick<Walk, 'without'> & { readonly killed?: unknown }>(
  test: keyof typeof WALKED,
  walks: Walking<Way>['walks'],
) {
  return stepsOf(test).flatMap(({ title, name = '', leaves, mendedBy }, at, all) => {
    const before = all.slice(0, at).filter((step) => step.title === title && step.name === name).length;
    const point = before === 0 ? name : `${name}:${before + 1}`;
    return mendedBy.by.flatMap((mender) =>
      (walks[title] ?? [])
        .filter(({ without = [] }) => !without.includes(name))
        .map((walk, index) => [title, point, mender, index, leaves.id, walk] as const),
    );
  });
}

/** Every protocol has a walk, every step that is mended a command, every state a look; there is none more. */
export function expectAllWalked(test: keyof typeof WALKED, { walks, menders, looks }: Walking<unknown>): void {
  expect(Object.keys(walks).toSorted()).toEqual([...WALKED[test]].toSorted());
  const steps = stepsOf(test);
  for (const { name, mendedBy } of steps) {
    if (name !== undefined) expect(mendedBy.by, name).not.toEqual([]);
    for (const mender of mendedBy.by) expect(menders, name).toHaveProperty(mender);
  }
  const named = steps.filter(({ name }) => name !== undefined).map(({ leaves }) => leaves.id);
  expect(Object.keys(looks).toSorted()).toEqual([...new Set(named)].toSorted());
}

/** Each with the title of its protocol. */
export function stepsOf(
  test: keyof typeof WALKED,
): readonly (Protocol['steps'][number] & { readonly title: string })[] {
  const titles: readonly string[] = WALKED[test];
  return protocols
    .filter(({ title }) => titles.includes(title))
    .flatMap(({ title, steps }) => steps.map((step) => ({ title, ...step })));
}
