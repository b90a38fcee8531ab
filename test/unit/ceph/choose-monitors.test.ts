import { describe, expect, test } from 'vitest';
import { decideMonitors } from '../../../src/ceph/krbd/choose-monitors.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import type { MonitorAnswer } from '../../../src/ceph/cluster/monitor-survey.ts';
import { formatMonitors, parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { failureOf } from '../../support/expect-error.ts';

const [a, b] = parseMonitors('10.0.0.1 10.0.0.2');
const [v2] = parseMonitors('10.0.0.3:3300');
const OLD = kernelTraits('4.19.0+1');
const NEW = kernelTraits('6.1.0');

function heard(...states: MonitorAnswer['state'][]): MonitorAnswer[] {
  return states.map((state, index) => {
    const monitor = state === 'msgr2' ? v2 : [a, b][index];
    if (monitor === undefined) throw new Error('more states than monitors');
    return { monitor, state };
  });
}

describe('which monitors the kernel is told', () => {
  test('those that answer, by msgr v1 where one does', () => {
    const chosen = decideMonitors(heard('unreachable', 'msgr1', 'msgr2'), [], NEW);
    expect(formatMonitors(chosen.monitors)).toBe('10.0.0.2:6789');
    expect(chosen.options).toEqual([]);
  });

  test('msgr v2 with ms_mode where nothing else answers and the kernel can', () => {
    const chosen = decideMonitors(heard('unreachable', 'msgr2'), [], NEW);
    expect(formatMonitors(chosen.monitors)).toBe('10.0.0.3:3300');
    expect(chosen.options).toEqual([{ name: 'ms_mode', value: 'prefer-crc' }]);
  });

  test('an old kernel and msgr v2 alone: the setting of the cluster is named', async () => {
    const error = await failureOf('cluster-incompatible', () => decideMonitors(heard('msgr2'), [], OLD));
    expect(error.message).toContain('ms_bind_msgr1');
  });

  test("the administrator's ms_mode decides", async () => {
    const secure = [{ name: 'ms_mode', value: 'secure' }];
    expect(formatMonitors(decideMonitors(heard('msgr1', 'msgr2'), secure, NEW).monitors)).toBe('10.0.0.3:3300');
    const error = await failureOf('cluster-incompatible', () => decideMonitors(heard('msgr1'), secure, NEW));
    expect(error.message).toContain('ms_mode');
  });

  test('nobody: each address is named with what was heard there', async () => {
    const error = await failureOf('monitor-unreachable', () => decideMonitors(heard('unreachable', 'silent'), [], NEW));
    expect(error.message).toContain('10.0.0.1:6789 does not answer');
    expect(error.message).toContain('10.0.0.2:6789 accepts connections but says nothing');
  });
});
