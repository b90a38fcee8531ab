import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../lab/hosts/host.ts';
import { labFolder } from '../../lab/machine/project.ts';
import type { Pool } from '../../lab/pool.ts';

/** How many of these folders stay. */
const KEPT = 20;
const HOST_MS = 20_000;

/**
 * What a test that failed leaves for whoever looks: each host's SMlog, kernel log, processes and console, and Ceph's
 * state. Returns the folder. Nothing here fails: a host may be off or frozen, and the cluster dead.
 */
export async function keepEvidence(pool: Pool, test: string): Promise<string> {
  prune(labFolder('failures'));
  const name = `${new Date().toISOString().replaceAll(':', '.')} ${test.replaceAll(/[^\w.-]+/g, '-').slice(0, 80)}`;
  const folder = join(labFolder('failures'), name.replaceAll(' ', '-'));
  mkdirSync(folder, { recursive: true });
  const texts: Readonly<Record<string, () => Promise<string>>> = {
    'ceph-status': () => cephSays(pool, '-s'),
    'ceph-health': () => cephSays(pool, 'health', 'detail'),
    'ceph-osd-dump': () => cephSays(pool, 'osd', 'dump'),
    ...Object.fromEntries(pool.hosts.flatMap((host) => Object.entries(textsOf(host)))),
  };
  await Promise.all(
    Object.entries(texts).map(async ([file, text]) =>
      writeFileSync(join(folder, file), await text().catch((error: unknown) => `${String(error)}\n`)),
    ),
  );
  for (const { name, consoleLog } of pool.hosts)
    if (existsSync(consoleLog)) copyFileSync(consoleLog, join(folder, `${name}-console`));
  return folder;
}

function textsOf(host: Host): Record<string, () => Promise<string>> {
  const says = (script: string) => async (): Promise<string> => {
    if (!host.isOn) return 'the host is off\n';
    const late = new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new Error(`no answer after ${HOST_MS} ms`)), HOST_MS).unref();
    });
    return Promise.race([
      host.exec(['/bin/sh', '-c', script], { timeoutMs: HOST_MS }).then(({ stdout }) => stdout),
      late,
    ]);
  };
  return {
    [`${host.name}-SMlog`]: says('cat /var/log/SMlog'),
    [`${host.name}-dmesg`]: says('dmesg'),
    [`${host.name}-state`]: says(
      'ps axf; dmsetup ls; cat /sys/bus/rbd/devices/*/name; cat /proc/mounts; cat /run/lab/agent.log',
    ),
  };
}

async function cephSays(pool: Pool, ...words: readonly string[]): Promise<string> {
  const { stdout, stderr } = await pool.cluster.tryTool('ceph', '--connect-timeout', '10', ...words);
  return stdout + stderr;
}

function prune(failures: string): void {
  const age = (name: string): number => statSync(join(failures, name)).mtimeMs;
  const oldest = readdirSync(failures).sort((a, b) => age(b) - age(a));
  for (const name of oldest.slice(KEPT - 1)) rmSync(join(failures, name), { recursive: true });
}
