/**
 * A protocol is a value: whatever takes more than one write is a list of steps, each on the disk before the next
 * begins. What runs it (src/system/running-steps.ts) takes the fault points from the list; so do docs/recovery.md,
 * compared by `npm run check`, and the tests that kill the command after each step. All of them: src/main/protocols.ts.
 */
export interface Step<Work> {
  /** Its fault point. The last step of all may have none: what it leaves is the end. */
  readonly name?: string;
  readonly run: (work: Work) => unknown;
  /** The step in words, for docs/recovery.md. */
  readonly does: string;
  readonly leaves: Left;
  readonly mendedBy: Mending;
  /** Where the step has nothing to do it is left out, with its fault point. */
  readonly when?: (work: Work) => boolean;
}

/**
 * What a crash leaves: a few words for people, and the name by which tests know what to look for on the disk, in LVM
 * and in xapi. What looks is code of the tests (left-behind.ts beside each): no host starts with it.
 */
export interface Left {
  readonly id: string;
  readonly says: string;
}

/** Each of these commands ends it alone: after every step the test runs one after the other, in states of their own. */
export interface Mending {
  readonly by: readonly Mender[];
  readonly says: string;
}

/** `again` is the same command once more; `vdi_activate elsewhere` is that of another host, which finds our mark. */
export type Mender =
  | 'again'
  | 'sr_scan'
  | 'sr_attach'
  | 'sr_forget'
  | 'sr_introduce'
  | 'vdi_create'
  | 'vdi_activate'
  | 'vdi_activate elsewhere'
  | 'vdi_deactivate'
  | 'enable'
  | 'disable'
  | 'repair'
  | 'doctor';

/** One table of docs/recovery.md, and what a test walks with one command. */
export interface Protocol {
  /** Of the table's first column. */
  readonly title: string;
  readonly steps: readonly Step<never>[];
}

export function step<Work>(
  name: string,
  run: Step<Work>['run'],
  more: Pick<Step<Work>, 'does' | 'leaves' | 'mendedBy' | 'when'>,
): Step<Work> {
  return { name, run, ...more };
}

/** After it there is nothing to mend. */
export function lastStep<Work>(run: Step<Work>['run'], does: string): Step<Work> {
  return { run, does, leaves: { id: 'done', says: 'done' }, mendedBy: { by: [], says: '' } };
}
