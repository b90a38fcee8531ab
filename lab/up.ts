import { parseArgs } from 'node:util';
import { openDoor } from './door/door.ts';
import { bareNodeMs, factorOf } from './machine/machine-speed.mjs';
import { startLab } from './start-pool.ts';

// `npm run lab [-- --hosts 2 --xen-hosts 0 --monitors 3 --osds 3]`: keeps a lab up until Ctrl-C.
const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '2' },
    'xen-hosts': { type: 'string', default: '0' },
    monitors: { type: 'string', default: '3' },
    osds: { type: 'string', default: '3' },
  },
});
const began = performance.now();
const lab = await startLab({
  hosts: Number(values.hosts),
  xenHosts: Number(values['xen-hosts']),
  monitors: Number(values.monitors),
  osds: Number(values.osds),
  progress: (step) => print(step),
});
const { pool } = lab;
const seconds = (performance.now() - began) / 1000;
const nodeMs = bareNodeMs();
await pool.cluster.createImage('rbd/sr1', { sizeMiB: 2048 });
const user = await pool.cluster.createUser('xen', ['rbd']);
const monitors = pool.cluster.monitors.join(',');
const door = await openDoor(lab);
print(`
The lab is up after ${seconds.toFixed(1)} s (\`node -e 0\` takes ${nodeMs.toFixed(0)} ms here, a factor of ${factorOf(nodeMs).toFixed(2)}).
Ctrl-C takes it down. In another terminal:

  a program on a host    node scripts/run-ts.mjs lab/exec.ts ${door} host1 -- lsblk
  a shell on a host      node scripts/run-ts.mjs lab/exec.ts ${door} host1
  an SM call by hand     node scripts/run-ts.mjs lab/exec.ts ${door} host1 sr_probe monitors=${monitors} user=${user.name} password=${user.key} pool=rbd image=sr1
  one scenario           RBDSR_LAB=${door} npx vitest run --project lab -t 'the life of a disk'
  a Ceph tool            ip netns exec ${pool.cluster.network.name} ceph -c ${pool.cluster.configPath} -s
  the consoles           ${pool.hosts.map(({ consoleLog }) => consoleLog).join(' ')}

An empty image rbd/sr1 and the user ${user.name} (key ${user.key}) are ready: monitors=${monitors}`);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
