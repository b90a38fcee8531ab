import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Dom0 } from './dom0.ts';
import { check } from '../machine/program.ts';
import { PROJECT_ROOT } from '../machine/project.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { hiddenNode } from './start-script.ts';

/** The driver as xapi knows it. */
export const DRIVER = '/opt/xensource/sm/RBDSR';

/** Emulation is ten times slower than a host: what takes seconds there takes a minute here. Seconds. */
const DEADLINE_SECONDS = 240;

/** The first time it fetches the runtime and packs it; afterwards it takes seconds. */
const PACKAGE_TIMEOUT_MS = 600_000;

/** Builds the self-extracting file that is published, for this run: another run may be of other sources. Returns where it is. */
export async function packageProduct(run: RunFolder): Promise<string> {
  const folder = run.folder('package');
  const argv = [process.execPath, join(PROJECT_ROOT, 'scripts/package.mjs'), '--only=run', folder];
  await check(argv, { timeoutMs: PACKAGE_TIMEOUT_MS });
  const [file] = readdirSync(folder);
  if (file === undefined) throw new Error(`scripts/package.mjs has put nothing into ${folder}`);
  return join(folder, file);
}

/** Seconds on a host; under emulation unpacking takes a minute or more. */
const INSTALL_TIMEOUT_MS = 600_000;

/** Installs what packageProduct has built, and shows it to xapi. */
export async function installProduct(dom0: Dom0, selfExtractor: string): Promise<void> {
  await dom0.shell(
    `
sh ${hiddenNode(selfExtractor)}
mkdir -p /opt/xensource/sm /etc/rbdsr /etc/xapi.d/plugins
ln -sf /opt/rbdsr/launcher.sh ${DRIVER}
ln -sf /opt/rbdsr/plugin.sh /etc/xapi.d/plugins/rbdsr
cat >/etc/rbdsr/rbdsr.conf <<END
${settingsFile()}END
`,
    { timeoutMs: INSTALL_TIMEOUT_MS },
  );
}

/** rbdsr.conf of a host of the lab. A later line of the same name counts. */
export function settingsFile(): string {
  return `profile = 8.3b\ndatapath = nbd\ndeadline = ${DEADLINE_SECONDS}\n`;
}
