import { fenceHost, type Fenced, isProven } from '../../fencing/fence-host.ts';
import type { FencePlan } from '../../fencing/fence-plan.ts';
import { outcomeInWords, planInWordsOf, wayBack } from '../../fencing/fence-words.ts';
import type { CliCall } from '../cli-call.ts';
import { deadlineMs } from '../deadline-option.ts';
import { jsonText } from '../json.ts';
import { printable } from '../../ceph/image/image-spec.ts';

export interface FenceOptions {
  readonly address?: true;
  readonly althoughInUse?: true;
  readonly includingThisHost?: true;
  readonly dryRun?: true;
  readonly json?: true;
  readonly deadline?: string;
}

/**
 * `rbdsr fence`: no request of that host's clients is served any more. 0 where all is proven; 1 where something is not,
 * which is named. Safe to interrupt and to repeat (docs/recovery.md).
 */
export async function fence(call: CliCall, host: string, o: FenceOptions): Promise<number> {
  const json = o.json === true;
  const tells = (plan: FencePlan): void => {
    if (!json) printLines(call, planInWordsOf(plan, Date.now()));
  };
  const done = await fenceHost(
    call.root,
    { ...wishOf(o), host, dryRun: o.dryRun === true, ms: deadlineMs(o.deadline) },
    tells,
  );
  const { plan, outcomes } = done;
  if (json) call.print(jsonText(asJson(done)));
  else if (outcomes === undefined) call.print('Nothing was changed (--dry-run).\n');
  else {
    printLines(call, ['', ...outcomeInWords(outcomes)]);
    printLines(call, [wayBack(plan.wish.host.title, plan.wish.wholeAddress)]);
  }
  return outcomes === undefined || isProven(done) ? 0 : 1;
}

function wishOf(o: FenceOptions): Record<'wholeAddress' | 'althoughInUse' | 'includingThisHost', boolean> {
  return {
    wholeAddress: o.address === true,
    althoughInUse: o.althoughInUse === true,
    includingThisHost: o.includingThisHost === true,
  };
}

function asJson(done: Fenced): object {
  const { plan, outcomes } = done;
  const { host } = plan.wish;
  return {
    host: {
      name: host.title,
      uuid: host.inPool?.uuid,
      addresses: host.addresses,
      live: host.inPool?.isLive,
      disks: host.inPool?.disks,
    },
    plan: plan.fences.map(({ client, cluster, image, also, number }) => ({
      client,
      cluster,
      number,
      srs: [image, ...also].map(({ uuid }) => uuid),
    })),
    notSeen: plan.unseen.map(({ uuid }) => uuid),
    notAsked: plan.unasked.map(({ image, why }) => ({ sr: image.uuid, why })),
    hitsBesides: plan.hits,
    hitsThisHost: plan.hitsThisHost,
    outcomes: outcomes?.map(({ image, fenced, proof, problem }) => ({
      sr: image.uuid,
      fenced,
      proof,
      problem: problem?.message,
    })),
    proven: outcomes === undefined ? undefined : isProven(done),
  };
}

/** Names in them are as they were found: no control character of theirs reaches a terminal. */
export function printLines(call: CliCall, lines: readonly string[]): void {
  call.print(lines.map((line) => `${printable(line)}\n`).join(''));
}
