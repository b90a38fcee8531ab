import { unfenceHost } from '../../fencing/unfence-host.ts';
import { unfenceInWords, type UnfencePlan } from '../../fencing/unfence-plan.ts';
import type { CliCall } from '../cli-call.ts';
import { deadlineMs } from '../deadline-option.ts';
import { jsonText } from '../json.ts';
import { printLines } from './fence.ts';

export interface UnfenceOptions {
  readonly dryRun?: true;
  readonly json?: true;
  readonly deadline?: string;
}

/** `rbdsr unfence`: takes back what `rbdsr fence` has done to a host, or one entry of the cluster's list. */
export async function unfence(call: CliCall, host: string, o: UnfenceOptions): Promise<number> {
  const json = o.json === true;
  const tells = (plan: UnfencePlan): void => {
    if (!json) printLines(call, unfenceInWords(plan));
  };
  const asked = { host, dryRun: o.dryRun === true, ms: deadlineMs(o.deadline) };
  const { plan, removed } = await unfenceHost(call.root, asked, tells);
  const clients = removed.map(({ client }) => client);
  if (json) {
    call.print(
      jsonText({
        host: plan.title,
        plan: plan.removed.map(({ client }) => client),
        left: plan.left.map(({ client, until }) => ({ client, until })),
        notAsked: plan.unasked.map(({ image, why }) => ({ sr: image.uuid, why })),
        removed: o.dryRun === true ? undefined : clients,
      }),
    );
  } else if (o.dryRun === true) call.print('Nothing was changed (--dry-run).\n');
  else printLines(call, ['', `Not fenced any more: ${clients.join(', ')}.`]);
  return plan.unasked.length === 0 ? 0 : 1;
}
