import { messageOf } from '../base/error.ts';
import type { FenceOutcome } from './carry-out.ts';
import { FENCE_SECONDS, type FencePlan, type PlannedFence, titleOfImage } from './fence-plan.ts';

/** What will be done, a line for each thing, without a line's end. Pure. */
export function planInWordsOf(plan: FencePlan, now: number): readonly string[] {
  const { wish, fences, unseen, hits, hitsThisHost, unasked } = plan;
  const { host, wholeAddress } = wish;
  const end = new Date(now + FENCE_SECONDS * 1000).toISOString().slice(0, 10);
  return [
    standingOf(plan),
    ...(fences.length === 0 ? [] : ['Its cluster will serve these clients nothing any more:']),
    ...fences.map((fence) => `  ${clientInWords(fence)}`),
    ...(fences.length === 0
      ? []
      : [`until ${end}, ten years: Ceph does not change the end of an entry that is there.`]),
    ...(wholeAddress ? ['Whatever else comes from these addresses is fenced, too.'] : []),
    ...hits.map(
      ({ image, address, client }) => `  hit besides: ${address} (client.${client}), which has ${image} open`,
    ),
    ...(hitsThisHost ? [`  hit besides: this host itself, which is at ${host.addresses.join(', ')}, too`] : []),
    ...unseen.map(
      (image) =>
        `Not seen: ${titleOfImage(image)} is plugged on it, and it does not have that open by now. A cluster forgets a client 30 s after it was last heard, and it may still write: --address fences all of its addresses.`,
    ),
    ...unasked.map(({ image, why }) => `Not asked: ${titleOfImage(image)}: ${why}`),
  ];
}

function standingOf({ wish: { host } }: FencePlan): string {
  const { inPool, title, addresses } = host;
  const at = `at ${addresses.join(', ')}`;
  if (inPool === undefined) return `${title} is no host of this pool.`;
  const { uuid, isLive, disks } = inPool;
  const life = isLive ? 'alive' : 'not alive';
  const marks = disks.length === 0 ? 'no disk bears its mark' : `${disks.length} disk(s) bear its mark`;
  return `Host ${title} (${uuid}), ${at}: ${life}, as the pool knows; ${marks}.`;
}

function clientInWords({ client, number, image, since }: PlannedFence): string {
  if (since !== undefined)
    return `${client}, of ${titleOfImage(image)}: fenced already, since ${since}; it is proven anew`;
  return number === undefined
    ? `${client}, every client of that address`
    : `${client} (client.${number}), which has ${titleOfImage(image)} open`;
}

/** What became of it. Pure. */
export function outcomeInWords(outcomes: readonly FenceOutcome[]): readonly string[] {
  return outcomes.flatMap((outcome) => {
    const title = titleOfImage(outcome.image);
    const entries = outcome.fenced.map(({ client, until, wasThere }) =>
      wasThere
        ? `${client} was fenced already, until ${until}, and stays so until then.`
        : `${client} is fenced until ${until}.`,
    );
    return [...entries, `${title}: ${proofInWords(outcome)}`];
  });
}

function proofInWords({ proof, problem }: FenceOutcome): string {
  if (proof === undefined) return `NOT PROVEN: ${problem === undefined ? 'it was not asked' : messageOf(problem)}`;
  const { epoch, answered, silent, unserved } = proof;
  const nobody = unserved === 0 ? '' : ` Nobody serves ${unserved} placement group(s) now.`;
  if (silent.length === 0) {
    return `proven. Whatever serves it goes by epoch ${epoch} (${osds(answered)}): no write that was on its way lands any more.${nobody}`;
  }
  return `NOT PROVEN: ${osds(silent)} did not answer by epoch ${epoch} in time, and may still do what it was sent before. The same command again asks once more.${nobody}`;
}

function osds(numbers: readonly number[]): string {
  return numbers.map((osd) => `osd.${osd}`).join(', ');
}

/** How a host that is fenced comes back, for whoever has just fenced it. */
export function wayBack(host: string, wholeAddress: boolean): string {
  return wholeAddress
    ? `Host ${host} reaches the cluster again after: rbdsr unfence ${host}`
    : `When host ${host} is well again: shut down what uses disks of theirs, then unplug and plug its PBDs. What is mapped anew is a new client, which is not fenced; \`rbdsr unfence\` is not needed.`;
}
