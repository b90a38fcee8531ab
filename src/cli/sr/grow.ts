import { formatBytes } from '../../base/units.ts';
import { parseSize } from '../../ceph/image/size-text.ts';
import { growthInWords, type GrowPlan } from '../../growing/grow-plan.ts';
import { type Grown, growSr, isGrown } from '../../growing/grow-sr.ts';
import { unawareOf } from '../../growing/seen-sizes.ts';
import type { CliCall } from '../cli-call.ts';
import { deadlineMs } from '../deadline-option.ts';
import { jsonText } from '../json.ts';
import { printLines } from './fence.ts';

export interface GrowOptions {
  readonly size: string;
  readonly dryRun?: true;
  readonly json?: true;
  readonly deadline?: string;
}

/**
 * `rbdsr grow`: makes an SR's image larger, and its volume group after it. 1 where a host does not see the size, which
 * is named. Safe to interrupt and to repeat (docs/recovery.md).
 */
export async function grow(call: CliCall, sr: string, o: GrowOptions): Promise<number> {
  const json = o.json === true;
  const tells = (plan: GrowPlan): void => {
    if (!json) printLines(call, growthInWords(plan));
  };
  const asked = { sr, wantedBytes: parseSize(o.size), dryRun: o.dryRun === true, ms: deadlineMs(o.deadline) };
  const grown = await growSr(call.root, asked, tells);
  const isDone = grown.seen !== undefined;
  if (json) call.print(jsonText(asJson(grown, isDone)));
  else if (!isDone) call.print('Nothing was changed (--dry-run).\n');
  else printLines(call, ['', ...outcomeOf(grown)]);
  return !isDone || isGrown(grown) ? 0 : 1;
}

function outcomeOf({ plan, seen = [], silent = [], srBytes = 0 }: Grown): readonly string[] {
  const unaware = unawareOf(seen, plan.sizeBytes);
  return [
    ...(srBytes > plan.srBytes
      ? [`SR ${plan.sr} has ${formatBytes(srBytes)} by now; it had ${formatBytes(plan.srBytes)}.`]
      : [
          `The image has grown and SR ${plan.sr} has not: look at SMlog of the master, then run the same command again.`,
        ]),
    ...silent.map((client) => `Did not answer the cluster in time: ${client}.`),
    ...unaware.map((line) => `Has not taken note: ${line}.`),
    ...(unaware.length === 0
      ? []
      : [
          'Until they do, disks that lie in the new part cannot be used there. Unplugging and plugging the PBD shows it.',
        ]),
  ];
}

function asJson({ plan, seen, silent, srBytes }: Grown, isDone: boolean): object {
  return {
    sr: plan.sr,
    image: plan.spec,
    from: plan.imageBytes,
    to: plan.sizeBytes,
    hosts: plan.plugged.map(({ name }) => name),
    ...(isDone
      ? {
          seen: seen?.map(({ host, sizeBytes, problem }) => ({ host: host.name, sizeBytes, problem })),
          silent,
          srFrom: plan.srBytes,
          srTo: srBytes,
        }
      : {}),
  };
}
