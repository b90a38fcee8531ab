import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Bench, median, type Row } from './bench.ts';
import { DRIVER_INFO_REQUEST, productHome } from './product-home.ts';

const ROUNDS = 25;

/** What one call costs before it does anything: programs take turns, so that a busy moment hurts them all alike. */
export const startupBench: Bench = {
  name: 'startup',
  title: 'Start-up of the plug-in (sr_get_driver_info)',
  run: async (report) => measure(report),
};

function measure(report: (line: string) => void): readonly Row[] {
  using home = productHome();
  const { product, env } = home;
  const programs = {
    node: [process.execPath, '-e', '0'],
    worker: [process.execPath, join(product, 'sm.cjs'), DRIVER_INFO_REQUEST],
    launcher: [join(product, 'launcher.sh'), DRIVER_INFO_REQUEST],
    cli: [process.execPath, join(product, 'cli.cjs'), 'version'],
  };
  const samples = Object.fromEntries(Object.keys(programs).map((name) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, argv] of Object.entries(programs)) samples[name]?.push(timeOf(argv, env));
  }
  const ms = (name: keyof typeof programs): number => median(samples[name] ?? []);
  report(`${ROUNDS} rounds, bare node ${ms('node').toFixed(1)} ms`);
  const reference = { name: 'node -e 0', value: ms('node') };
  return [
    { metric: 'bare node', value: ms('node'), unit: 'ms' },
    {
      metric: 'worker',
      value: ms('worker'),
      unit: 'ms',
      reference,
      aim: { of: 'ratio', bound: 'at most', limit: 1.6 },
    },
    { metric: 'launcher and worker', value: ms('launcher'), unit: 'ms', reference },
    { metric: 'rbdsr version', value: ms('cli'), unit: 'ms', reference },
  ];
}

/** Milliseconds from start to end. */
function timeOf([program = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const took = performance.now() - started;
  if (status === 0) return took;
  throw new Error(`${program} ended with ${status}: ${stderr.toString()}`);
}
