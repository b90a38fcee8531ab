import type { Dom0 } from './dom0.ts';
import { PROJECT_ROOT } from '../machine/project.ts';
import { hiddenNode } from './start-script.ts';

/** The driver as xapi knows it. */
export const DRIVER = '/opt/xensource/sm/RBDSR';

/** Emulation is ten times slower than a host: what takes seconds there takes a minute here. Seconds. */
const DEADLINE_SECONDS = 240;

/** Puts the built product (`node scripts/build.mjs`) where its installer puts it on a host, with the machine's node as its runtime. */
export async function installProduct(dom0: Dom0): Promise<void> {
  await dom0.shell(`
mkdir -p /opt/rbdsr/runtime/bin /opt/xensource/sm /etc/rbdsr /etc/xapi.d/plugins
cp -r ${hiddenNode(PROJECT_ROOT)}/build/dom0/. /opt/rbdsr/
ln -sf ${hiddenNode(process.execPath)} /opt/rbdsr/runtime/bin/node
ln -sf /opt/rbdsr/launcher.sh ${DRIVER}
ln -sf /opt/rbdsr/plugin.sh /etc/xapi.d/plugins/rbdsr
cat >/etc/rbdsr/rbdsr.conf <<END
${settingsFile()}END
`);
}

/** rbdsr.conf of a host of the lab. A later line of the same name counts. */
export function settingsFile(): string {
  return `profile = 8.3b\ndatapath = nbd\ndeadline = ${DEADLINE_SECONDS}\n`;
}
