import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataPathHost } from '../../../src/datapath/datapath-host.ts';

/** A host with the stand-in for tap-ctl, below a folder of its own. */
export interface TapdiskHost {
  readonly host: DataPathHost;
  readonly root: string;
  /** Makes the next `times` calls of a subcommand fail. */
  failNext(subcommand: string, code: number, text: string, times?: number): void;
  /** The calls so far, without `list`. */
  calls(): string[];
  /** What tap-ctl would list, by minor. */
  minors(): Record<string, { pid?: number; image?: string; readOnly?: boolean; chain?: readonly string[] }>;
  spawned(): number[];
  remove(): void;
}

/** `listsIdle`: `tap-ctl list` knows of minors that no tapdisk has, as from 8.2 on. */
export function tapdiskHost(
  datapath: Partial<DataPathHost['datapath']> = {},
  { listsIdle } = { listsIdle: true },
): TapdiskHost {
  const root = mkdtempSync(join(tmpdir(), 'rbdsr-datapath-'));
  const state = `${root}/tap-ctl`;
  const traits = { kind: 'tapdisk', kernelNodes: true, nbdLinks: true, ...datapath } as const;
  mkdirSync(state);
  const { kernelNodes } = traits;
  const closeTimeoutSeconds = datapath.closeTimeoutSeconds ?? null;
  const settings = { root, kernelNodes, closeTimeout: closeTimeoutSeconds, listsIdle };
  writeFileSync(`${state}/settings.json`, JSON.stringify(settings));
  mkdirSync(`${root}/usr/sbin`, { recursive: true });
  const fixture = join(dirname(fileURLToPath(import.meta.url)), 'fixtures/tap-ctl.mjs');
  writeFileSync(`${root}/usr/sbin/tap-ctl`, `#!/bin/sh\nexec '${process.execPath}' '${fixture}' '${state}' "$@"\n`);
  chmodSync(`${root}/usr/sbin/tap-ctl`, 0o755);
  const lines = (name: string): string[] =>
    existsSync(`${state}/${name}`) ? readFileSync(`${state}/${name}`, 'utf8').split('\n').filter(Boolean) : [];
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
    failNext: (subcommand, code, text, times = 1) =>
      writeFileSync(`${state}/fail-${subcommand}`, `${code} ${times} ${text}`),
    calls: () => lines('calls.log').filter((line) => !line.startsWith('list')),
    minors: () => (existsSync(`${state}/state.json`) ? JSON.parse(readFileSync(`${state}/state.json`, 'utf8')) : {}),
    spawned: () => lines('pids').map(Number),
    remove() {
      for (const pid of lines('pids').map(Number)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended.
        }
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** False for a process that has ended and that its parent has not asked about yet. */
export function lives(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
}
