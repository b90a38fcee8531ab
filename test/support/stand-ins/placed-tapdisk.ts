import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TAP_CTL = `${import.meta.dirname}/../../unit/datapath/fixtures/tap-ctl.mjs`;

/** What serves disks on a host that is a folder: blktap's tap-ctl, as the tests of the data path have it. */
export interface PlacedTapdisk extends Disposable {
  /** Each minor and each tapdisk beside one, as far as it has come: `minor`, `process`, `minor, process, image`. */
  list(): readonly string[];
  /** As a restart of the host does. */
  forget(): void;
}

export function placeTapdisk(root: string): PlacedTapdisk {
  const state = join(root, 'tap-ctl');
  for (const folder of [state, join(root, 'usr/sbin')]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(state, 'settings.json'), JSON.stringify({ root, version: '3.55.5', closeTimeout: 120 }));
  const program = `#!/bin/sh\nexec '${process.execPath}' '${TAP_CTL}' '${state}' "$@"\n`;
  writeFileSync(join(root, 'usr/sbin/tap-ctl'), program, { mode: 0o755 });
  writeFileSync(
    join(root, 'etc/rbdsr/rbdsr.conf'),
    'profile = 8.3b\ndatapath = tapdisk\ndeadline = 60\ncollect = by-hand\n',
  );

  const minors = (): readonly Minor[] => {
    const path = join(state, 'state.json');
    return existsSync(path) ? Object.values(JSON.parse(readFileSync(path, 'utf8')) as Record<string, Minor>) : [];
  };
  const pids = (): readonly number[] => {
    const path = join(state, 'pids');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number).filter(lives) : [];
  };
  const forget = (): void => {
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
    const log = join(state, 'calls.log');
    const unknown = existsSync(log)
      ? readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line.startsWith('FAILED'))
      : [];
    if (unknown.length > 0) throw new Error(unknown.join('\n'));
    writeFileSync(join(state, 'state.json'), '{}');
    writeFileSync(join(state, 'pids'), '');
    rmSync(join(root, 'dev/xen/blktap-2'), { recursive: true, force: true });
  };
  return {
    list: () => {
      const attached = minors().flatMap(({ pid }) => (pid !== undefined && lives(pid) ? [pid] : []));
      const beside = pids().filter((pid) => !attached.includes(pid));
      const shown = minors().map(({ pid, image }) => {
        if (pid === undefined || !lives(pid)) return 'minor';
        return image === undefined ? 'minor, process' : 'minor, process, image';
      });
      return [...shown, ...beside.map(() => 'process')];
    },
    forget,
    [Symbol.dispose]: forget,
  };
}

interface Minor {
  readonly pid?: number;
  readonly image?: string;
}

/** False for a process that has ended and that its parent has not asked about yet. */
function lives(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !readFileSync(path, 'utf8').includes(') Z');
}
