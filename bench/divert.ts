import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { encodeCall } from '../src/xmlrpc/encode.ts';
import { type Bench, median, type Row } from './bench.ts';

const ROUNDS = 200;
const ISCSI = {
  SRmaster: 'true',
  target: '10.0.0.1',
  port: '3260',
  targetIQN: 'iqn.2001-05.com.example:a',
  SCSIid: '3600a',
};

/**
 * What the dispatcher adds to a call of an iSCSI SR: the same stand-in for the stock driver, straight and by way of the
 * dispatcher.
 */
export const divertBench: Bench = {
  name: 'divert',
  title: 'Deciding that a call is not ours (what the dispatcher adds)',
  run: async (report) => {
    const home = mkdtempSync(join(tmpdir(), 'rbdsr-bench-divert-'));
    try {
      return measure(home, report);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
};

function measure(home: string, report: (line: string) => void): readonly Row[] {
  // A program that does nothing, so that what the dispatcher costs is most of what is measured.
  const stock = join(home, 'stock/LVMoISCSISR');
  mkdirSync(join(home, 'stock'));
  symlinkSync('/bin/true', stock);
  const divert = join(home, 'divert.py');
  symlinkSync(resolve('src/main/divert.py'), divert);
  const shells = ['/bin/dash', '/bin/bash'].filter((shell) => existsSync(shell));
  return shells.flatMap((shell) => {
    const direct: number[] = [];
    const diverted = Object.fromEntries(Object.keys(REQUESTS).map((what) => [what, [] as number[]]));
    for (let round = 0; round < ROUNDS; round += 1) {
      direct.push(timeOf([stock, REQUESTS['a usual request'] ?? ''], home));
      for (const [what, request] of Object.entries(REQUESTS))
        diverted[what]?.push(timeOf([shell, divert, request], home));
    }
    report(`${shell}: ${ROUNDS} rounds, the stand-in alone ${median(direct).toFixed(2)} ms`);
    return Object.entries(diverted).map(
      ([what, samples]): Row => ({
        metric: `${shell.slice(5)}, ${what}`,
        value: median(samples) - median(direct),
        unit: 'ms',
        reference: { name: 'stand-in alone', value: median(direct) },
        aim: { of: 'value', bound: 'at most', limit: 5 },
      }),
    );
  });
}

/**
 * Nearly all are usual; in a few the digits 6789 stand by chance, in a uuid for instance, and the whole request is
 * read.
 */
const REQUESTS: Readonly<Record<string, string>> = {
  'a usual request': request('OpaqueRef:1111', 'disk'),
  'one with 6789 in it': request('OpaqueRef:6789', 'disk'),
  'a long one with 6789 in it': request('OpaqueRef:6789', 'x'.repeat(10_000)),
};

function request(srRef: string, label: string): string {
  const args = ['10737418240', label, '', '', 'false', '19700101T00:00:00Z', '', 'false'];
  const members = {
    host_ref: 'OpaqueRef:H',
    command: 'vdi_create',
    args,
    device_config: ISCSI,
    session_ref: 'OpaqueRef:S',
    sr_ref: srRef,
  };
  return encodeCall('vdi_create', [
    { ...members, vdi_type: 'user', vdi_sm_config: {}, subtask_of: 'DummyRef:|5d2f|VDI.create' },
  ]);
}

/** Milliseconds from start to end. */
function timeOf([program = '', ...args]: readonly string[], home: string): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(program, args, {
    env: { PATH: '/usr/bin:/bin', RBDSR_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const took = performance.now() - started;
  if (status === 0) return took;
  throw new Error(`${program} ended with ${status}: ${stderr.toString()}`);
}
