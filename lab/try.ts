import { Cluster } from './cluster/cluster.ts';
import { RunFolder } from './machine/run-folder.ts';
import { sweepRun } from './machine/sweep.ts';
const run = RunFolder.create();
const t = Date.now();
try {
  const c = await Cluster.start(run, { monitors: Number(process.argv[2] ?? 1), osds: Number(process.argv[3] ?? 1) });
  console.log('up', Date.now() - t);
  console.log(await c.tool('ceph', '-s'));
  console.log(await c.createUser('xen', ['rbd']));
  await c.createImage('rbd/t1', { sizeMiB: 512 });
  console.log(await c.imageInfo('rbd/t1'));
  console.log('done', Date.now() - t);
  await c.destroy();
} finally {
  await sweepRun(run.id);
}
console.log('swept', Date.now() - t);
