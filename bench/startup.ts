import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { encodeCall } from '../src/xmlrpc/encode.ts';
import type { Bench, Row } from './bench.ts';
import { DRIVER_INFO_REQUEST, productHome } from './product-home.ts';

const ROUNDS = 25;
/** At most so many times `node -e 0`. */
const WORKER_AIM = 1.4;
const LAUNCHER_AIM = 1.55;

/** What one call costs before it does anything: programs take turns, so that a busy moment hurts them all alike. */
export const startupBench: Bench = {
  name: 'startup',
  title: `Start-up of the plug-in, the least of ${ROUNDS} rounds`,
  run: async (report) => measure(report),
};

function measure(report: (line: string) => void): readonly Row[] {
  using home = productHome();
  const { product, env } = home;
  const node = [process.execPath, '-e', '0'];
  const programs = Object.entries(REQUESTS).flatMap(([command, request]) => [
    { metric: `worker, ${command}`, argv: [process.execPath, join(product, 'sm.cjs'), request], limit: WORKER_AIM },
    { metric: `launcher and worker, ${command}`, argv: [join(product, 'launcher.sh'), request], limit: LAUNCHER_AIM },
  ]);
  const all = [
    { metric: 'bare node', argv: node },
    ...programs,
    { metric: 'rbdsr version', argv: [process.execPath, join(product, 'cli.cjs'), 'version'] },
  ];
  const least = new Map<string, Cost>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { metric, argv } of all) least.set(metric, lesser(least.get(metric), costOf(argv, env)));
  }
  const cost = (metric: string): Cost => least.get(metric) ?? { wall: 0, cpu: 0 };
  const bare = cost('bare node');
  report(`${ROUNDS} rounds, bare node ${bare.wall.toFixed(1)} ms, of the processor ${bare.cpu.toFixed(1)} ms`);
  return [
    { metric: 'bare node', value: bare.wall, unit: 'ms' },
    ...programs.flatMap(({ metric, limit }): readonly Row[] => {
      const aim = { of: 'ratio', bound: 'at most', limit } as const;
      const wall = row(metric, cost(metric).wall, bare.wall);
      // The launcher does not wait until its worker has ended: what that takes of the processor is not its own.
      if (metric.startsWith('launcher')) return [{ ...wall, aim }];
      return [
        { ...wall, aim },
        { ...row(`${metric}, processor`, cost(metric).cpu, bare.cpu), aim },
      ];
    }),
    row('rbdsr version', cost('rbdsr version').wall, bare.wall),
  ];
}

const SR = {
  host_ref: 'OpaqueRef:H',
  session_ref: 'OpaqueRef:S',
  sr_ref: 'OpaqueRef:R',
  sr_uuid: '11111111-2222-4333-8444-555555555555',
  device_config: { SRmaster: 'true' },
};

/** The last two are about an SR that is not plugged: they end where they would reach for its image. */
const REQUESTS: Readonly<Record<string, string>> = {
  sr_get_driver_info: DRIVER_INFO_REQUEST,
  vdi_attach: encodeCall('vdi_attach', [
    {
      ...SR,
      command: 'vdi_attach',
      args: ['true'],
      vdi_ref: 'OpaqueRef:V',
      vdi_uuid: '66666666-7777-4888-9999-aaaaaaaaaaaa',
    },
  ]),
  sr_scan: encodeCall('sr_scan', [{ ...SR, command: 'sr_scan', args: [] }]),
};

function row(metric: string, value: number, bare: number): Row {
  return { metric, value, unit: 'ms', reference: { name: 'node -e 0', value: bare } };
}

/** Milliseconds from start to end, and of the processor. */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

function lesser(one: Cost | undefined, { wall, cpu }: Cost): Cost {
  return one === undefined ? { wall, cpu } : { wall: Math.min(one.wall, wall), cpu: Math.min(one.cpu, cpu) };
}

function costOf(argv: readonly string[], env: Readonly<Record<string, string>>): Cost {
  const started = performance.now();
  run(argv, env);
  const wall = performance.now() - started;
  const [, children = ''] = run(['/bin/bash', '-c', '"$@" >/dev/null; times', 'bash', ...argv], env).split('\n');
  return { wall, cpu: milliseconds(children) };
}

function run([program = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): string {
  const { status, stdout, stderr } = spawnSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (status === 0) return stdout.toString();
  throw new Error(`${program} ended with ${status}: ${stderr.toString()}`);
}

/** bash's `times`: "0m0.041s 0m0.012s", of the user and of the system. */
function milliseconds(times: string): number {
  return [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + 60_000 * Number(m) + 1000 * Number(s),
    0,
  );
}
