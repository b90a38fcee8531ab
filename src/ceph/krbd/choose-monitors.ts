import type { Deadline } from '../../base/deadline.ts';
import type { KernelTraits } from './kernel-traits.ts';
import { msgr1Only, msgr2Only } from './cluster-incompatible.ts';
import type { MapOption } from './map-options.ts';
import { noMonitorAnswers, surveyMonitors } from '../cluster/monitor-survey.ts';
import type { MonitorAnswer } from '../cluster/monitor-survey.ts';
import { formatMonitors } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';

export interface ChosenMonitors {
  /** Those that answer in the protocol the kernel will speak; it learns of the others from them. */
  readonly monitors: readonly MonitorAddress[];
  /** `ms_mode` where the kernel has to be told. */
  readonly options: readonly MapOption[];
}

/** Asks every monitor and decides (decideMonitors). 'monitor-unreachable' | 'cluster-incompatible'. */
export async function chooseMonitors(
  monitors: readonly MonitorAddress[],
  options: readonly MapOption[],
  kernel: KernelTraits,
  deadline: Deadline,
): Promise<ChosenMonitors> {
  return decideMonitors(await surveyMonitors(monitors, deadline), options, kernel);
}

/**
 * One protocol for all, since a kernel client speaks one: msgr v1 wherever a monitor offers it, else msgr v2 where the
 * kernel can. An ms_mode chosen by the administrator decides instead.
 */
export function decideMonitors(
  answers: readonly MonitorAnswer[],
  options: readonly MapOption[],
  kernel: KernelTraits,
): ChosenMonitors {
  const speaking = (state: MonitorAnswer['state']): readonly MonitorAddress[] =>
    answers.filter((answer) => answer.state === state).map(({ monitor }) => monitor);
  const msgr1 = speaking('msgr1');
  const msgr2 = speaking('msgr2');
  if (msgr1.length === 0 && msgr2.length === 0) throw noMonitorAnswers(answers);
  const mode = options.find(({ name }) => name === 'ms_mode')?.value;
  if (mode !== undefined) {
    const wanted = mode === 'legacy' ? msgr1 : msgr2;
    if (wanted.length === 0) {
      throw mode === 'legacy' ? msgr2Only(formatMonitors(msgr2), kernel) : msgr1Only(formatMonitors(msgr1));
    }
    return { monitors: wanted, options: [] };
  }
  if (msgr1.length > 0) return { monitors: msgr1, options: [] };
  if (!kernel.msMode) throw msgr2Only(formatMonitors(msgr2), kernel);
  return { monitors: msgr2, options: [{ name: 'ms_mode', value: 'prefer-crc' }] };
}
