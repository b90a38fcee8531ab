import { parseArgs } from 'node:util';
import { openDoor } from './exec-door.ts';
import { Pool } from './pool.ts';

// `npm run lab [-- --hosts 2 --monitors 1 --osds 1]`: keeps a lab up until Ctrl-C.
const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1' },
    monitors: { type: 'string', default: '1' },
    osds: { type: 'string', default: '1' },
  },
});
const pool = await Pool.start({
  hosts: Number(values.hosts),
  monitors: Number(values.monitors),
  osds: Number(values.osds),
  progress: (step) => print(step),
});
await pool.cluster.createImage('rbd/sr1', { sizeMiB: 2048 });
const user = await pool.cluster.createUser('xen', ['rbd']);
const monitors = pool.cluster.monitors.join(',');
const door = await openDoor(pool);
print(`
The lab is up; Ctrl-C takes it down. In another terminal:

  a program on a host    node scripts/run-ts.mjs lab/exec.ts ${door} host1 -- lsblk
  a shell on a host      node scripts/run-ts.mjs lab/exec.ts ${door} host1
  an SM call by hand     node scripts/run-ts.mjs lab/exec.ts ${door} host1 sr_probe monitors=${monitors} user=${user.name} password=${user.key} pool=rbd image=sr1
  a Ceph tool            ip netns exec ${pool.cluster.network.name} ceph -c ${pool.cluster.configPath} -s
  the consoles           ${pool.hosts.map(({ consoleLog }) => consoleLog).join(' ')}

An empty image rbd/sr1 and the user ${user.name} (key ${user.key}) are ready: monitors=${monitors}`);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
