import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataPathHost } from '../../../src/datapath/datapath-host.ts';

/** A host with the stand-in for tap-ctl, below a folder of its own. */
export interface TapdiskHost {
  readonly host: DataPathHost;
  readonly root: string;
  /** The next `times` calls of a subcommand are answered as one was recorded that exited so. */
  failNext(subcommand: string, code: number, times?: number): void;
  /** Of the only minor: its tapdisk is `pid` from now on, and says who it is, but not what it serves. */
  fallSilent(pid: number): void;
  /** Of the only minor: its tapdisk answers nothing. */
  stop(): void;
  /** The calls so far, without `list`. */
  calls(): string[];
  /** What tap-ctl would list, by minor. */
  minors(): Record<string, { pid?: number; image?: string; readOnly?: boolean; chain?: readonly string[] }>;
  spawned(): number[];
  /** Fails where a call was made that the version has no row of. */
  remove(): void;
}

/** `blktap`: a version in test/fixtures/tap-ctl. */
export function tapdiskHost(
  datapath: Partial<DataPathHost['datapath']> = {},
  { blktap } = { blktap: '3.55.5' },
): TapdiskHost {
  const root = mkdtempSync(join(tmpdir(), 'rbdsr-datapath-'));
  const state = `${root}/tap-ctl`;
  const traits = { kind: 'tapdisk', kernelNodes: true, nbdLinks: true, ...datapath } as const;
  mkdirSync(state);
  const settings = { root, version: blktap, closeTimeout: datapath.closeTimeoutSeconds };
  writeFileSync(`${state}/settings.json`, JSON.stringify(settings));
  mkdirSync(`${root}/usr/sbin`, { recursive: true });
  const fixture = join(dirname(fileURLToPath(import.meta.url)), 'fixtures/tap-ctl.mjs');
  writeFileSync(`${root}/usr/sbin/tap-ctl`, `#!/bin/sh\nexec '${process.execPath}' '${fixture}' '${state}' "$@"\n`);
  chmodSync(`${root}/usr/sbin/tap-ctl`, 0o755);
  const lines = (name: string): string[] =>
    existsSync(`${state}/${name}`) ? readFileSync(`${state}/${name}`, 'utf8').split('\n').filter(Boolean) : [];
  const become = (what: object): void => {
    const [minor, one] = Object.entries(JSON.parse(readFileSync(`${state}/state.json`, 'utf8')) as object)[0] ?? [];
    writeFileSync(`${state}/state.json`, JSON.stringify({ [String(minor)]: { ...one, ...what } }));
  };
  return {
    root,
    host: {
      datapath: traits,
      paths: {
        root,
        devSmDir: `${root}/dev/sm`,
        blktapControlDir: `${root}/run/blktap-control`,
        runDir: `${root}/var/run/rbdsr`,
      },
    },
    failNext: (subcommand, code, times = 1) => writeFileSync(`${state}/fail-${subcommand}`, `${code} ${times}`),
    fallSilent(pid) {
      become({ pid, state: 'silent' });
      appendFileSync(`${state}/pids`, `${pid}\n`);
    },
    stop: () => become({ state: 'stopped' }),
    calls: () => lines('calls.log').filter((line) => !line.startsWith('list')),
    minors: () => (existsSync(`${state}/state.json`) ? JSON.parse(readFileSync(`${state}/state.json`, 'utf8')) : {}),
    spawned: () => lines('pids').map(Number),
    remove() {
      const unknown = lines('calls.log').filter((line) => line.startsWith('FAILED'));
      for (const pid of lines('pids').map(Number)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended.
        }
      }
      rmSync(root, { recursive: true, force: true });
      if (unknown.length > 0) throw new Error(unknown.join('\n'));
    },
  };
}

/** False for a process that has ended and that its parent has not asked about yet. */
export function lives(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
}
