import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from '../machine/program.ts';
import { PROJECT_ROOT } from '../machine/project.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { buildHostTree } from '../host-trees/host-trees.ts';
import type { Host } from './host.ts';
import { onMachine } from './start-script.ts';

/** The driver as xapi knows it. */
export const DRIVER = '/opt/xensource/sm/RBDSR';

/** The first time it fetches the runtime and packs it; afterwards it takes seconds. */
const PACKAGE_TIMEOUT_MS = 600_000;

/**
 * Builds the self-extracting file that is published, for this run: another run may be of other sources. Returns where
 * it is.
 */
export async function packageProduct(run: RunFolder): Promise<string> {
  const folder = run.folder('package');
  const argv = [process.execPath, join(PROJECT_ROOT, 'scripts/package.mjs'), '--only=run', folder];
  await check(argv, { timeoutMs: PACKAGE_TIMEOUT_MS, env: run.mark });
  const [file] = readdirSync(folder);
  if (file === undefined) throw new Error(`scripts/package.mjs has put nothing into ${folder}`);
  return join(folder, file);
}

/**
 * Installs that file by itself, into a folder of this machine: emulation would take a minute for what takes two seconds
 * here.
 */
export async function unpackProduct(run: RunFolder, selfExtractor: string): Promise<string> {
  const root = run.folder('installed');
  await check(['sh', selfExtractor, '--root', root], { timeoutMs: PACKAGE_TIMEOUT_MS, env: run.mark });
  return join(root, 'opt/rbdsr');
}

/**
 * Gives a host the stock storage manager's folder (stand-ins), the product as its own installer has unpacked it, and
 * enables it as an administrator does.
 */
export async function installProduct(host: Host, unpacked: string): Promise<void> {
  const source = onMachine(unpacked);
  await host.shell('tar -xf - -C /', { stdin: stockSmFolder() });
  await host.shell(
    `
mkdir -p /opt/rbdsr /etc/rbdsr
version=$(readlink ${source}/current)
cp -a ${source}/$version /opt/rbdsr/
for link in $(find ${source} -maxdepth 1 -type l); do cp -P $link /opt/rbdsr/; done
cat >/etc/rbdsr/rbdsr.conf <<END
${settingsFile(host)}END
/opt/rbdsr/launcher.sh enable </dev/null
sync
`,
    { timeoutMs: 300_000 },
  );
}

/** The product as the sources are now, without what it ships of others: a folder. */
export async function buildSources(run: RunFolder): Promise<string> {
  const folder = join(run.folder('sources'), 'product');
  const argv = [process.execPath, join(PROJECT_ROOT, 'scripts/package.mjs'), '--only=product', folder];
  await check(argv, { timeoutMs: PACKAGE_TIMEOUT_MS, env: run.mark });
  return folder;
}

/** Puts that in the place of what a host has installed. What `rbdsr enable` changed on the host stays as it is. */
export async function putSources(host: Host, product: string): Promise<void> {
  await host.shell(`cp -a ${onMachine(product)}/. /opt/rbdsr/current/`);
}

/** XCP-ng 8.3's, as an archive. */
function stockSmFolder(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-stock-'));
  try {
    buildHostTree('8.3b', folder);
    return execFileSync('tar', ['-cf', '-', '--owner=0', '--group=0', '-C', folder, 'opt/xensource/sm']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** rbdsr.conf of a host of the lab. A later line of the same name counts. */
export function settingsFile({ deadline }: Host): string {
  return `profile = 8.3b\ndatapath = nbd\ndeadline = ${deadline}\ncollect = by-hand\n`;
}
