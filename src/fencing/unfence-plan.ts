import { RbdsrError } from '../base/error.ts';
import { chosenHost, isNoteOf } from './chosen-host.ts';
import type { UnaskedImage } from './fence-plan.ts';
import type { FenceList, KnownFence } from './list-fences.ts';
import type { PoolHost } from './pool-standing.ts';

export interface UnfencePlan {
  /** The host's name, its address, or the one client. */
  readonly title: string;
  readonly removed: readonly KnownFence[];
  /** At the same addresses, and somebody else's. */
  readonly left: readonly KnownFence[];
  readonly unasked: readonly UnaskedImage[];
}

/**
 * `text`: a host, whose fences are those that we wrote down for it; or `ADDRESS:PORT/NONCE`, one entry whoever made it.
 * 'invalid-argument' where there is none. Pure.
 */
export function planUnfence(
  hosts: readonly PoolHost[],
  { fences, unasked }: FenceList,
  text: string,
  here: readonly string[],
): UnfencePlan {
  if (CLIENT.test(text)) {
    const removed = fences.filter(({ client }) => client === text);
    if (removed.length === 0) throw nothing(text, [], unasked);
    return { title: text, removed, left: [], unasked };
  }
  const host = chosenHost(hosts, text, here);
  const { title } = host;
  const theirs = fences.filter(({ note, client }) => isNoteOf(note, client, host));
  const removed = theirs.filter(({ note }) => note !== undefined);
  const left = theirs.filter(({ note, until }) => note === undefined && until !== undefined);
  if (removed.length === 0) throw nothing(title, left, unasked);
  return { title, removed, left, unasked };
}

const CLIENT = /^[0-9a-fA-F.:[\]]+:[0-9]+\/[0-9]+$/;

function nothing(title: string, left: readonly KnownFence[], unasked: readonly UnaskedImage[]): RbdsrError {
  const [other] = left;
  const [silent] = unasked;
  return new RbdsrError('invalid-argument', {
    what: `there is no fence of ${title} that RBDSR wrote down`,
    ...(other === undefined ? {} : { found: `${left.map(({ client }) => client).join(', ')}, not ours` }),
    ...(silent === undefined ? {} : { expected: `SR ${silent.image.uuid} to be asked: ${silent.why}` }),
    todo:
      other === undefined
        ? '`rbdsr fences` lists all that there are.'
        : `Where it is known that nobody needs it: rbdsr unfence ${other.client}`,
  });
}

/** What will be done, a line for each thing. Pure. */
export function unfenceInWords({ title, removed, left, unasked }: UnfencePlan): readonly string[] {
  return [
    `These clients of ${title} are let at the cluster again:`,
    ...removed.map(({ client, until, note }) => {
      const by = note === undefined ? 'not ours' : `since ${note.since}, by ${note.by}`;
      return until === undefined ? `  ${client}: its fence is over, the note of it goes` : `  ${client} (${by})`;
    }),
    'What one of them still holds and has not written lands then, over whatever others have written since:',
    'be sure that it was rebooted, or that its images were unmapped.',
    'A host whose PBDs were unplugged and plugged, or that was rebooted, has new clients, which are not fenced: only a whole address (/0) has to be taken back.',
    ...left.map(({ client, until }) => `Left, since it is not ours: ${client}, until ${until ?? ''}`),
    ...unasked.map(({ image, why }) => `Not asked: SR ${image.uuid}: ${why}`),
  ];
}
