import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCall } from '../src/xmlrpc/encode.ts';
import { type Bench, median, type Row } from './bench.ts';

const ROUNDS = 25;
const REQUEST = encodeCall('sr_get_driver_info', [
  { host_ref: 'OpaqueRef:H', command: 'sr_get_driver_info', args: [], device_config: {} },
]);

/** What one call costs before it does anything: programs take turns, so that a busy moment hurts them all alike. */
export const startupBench: Bench = {
  name: 'startup',
  title: 'Start-up of the plug-in (sr_get_driver_info)',
  async run(report) {
    const home = mkdtempSync(join(tmpdir(), 'rbdsr-bench-startup-'));
    try {
      return measure(home, report);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
};

function measure(home: string, report: (line: string) => void): readonly Row[] {
  const product = join(home, 'product');
  execFileSync(process.execPath, ['scripts/build.mjs', product], { stdio: 'pipe' });
  mkdirSync(join(product, 'runtime/bin'), { recursive: true });
  symlinkSync(process.execPath, join(product, 'runtime/bin/node'));
  mkdirSync(join(home, 'root/etc'), { recursive: true });
  writeFileSync(join(home, 'root/etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='bench'\n");
  const env = {
    PATH: '/usr/bin:/bin',
    RBDSR_ROOT: join(home, 'root'),
    RBDSR_HOME: product,
    RBDSR_RUN: join(home, 'run'),
  };
  const programs = {
    node: [process.execPath, '-e', '0'],
    worker: [process.execPath, join(product, 'sm.cjs'), REQUEST],
    launcher: [join(product, 'launcher.sh'), REQUEST],
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
function timeOf([program = '', ...args]: readonly string[], env: Record<string, string>): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const took = performance.now() - started;
  if (status === 0) return took;
  throw new Error(`${program} ended with ${status}: ${stderr.toString()}`);
}
