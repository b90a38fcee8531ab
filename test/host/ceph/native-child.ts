import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';

// Makes, or grows, one image after the other, each called as the argument says and a number, perhaps with its data in
// another pool: a client that other tests kill.
const [monitors = '', user = '', key = '', name = '', count = '1', word = 'create', dataPool] = process.argv.slice(2);
const layout = dataPool === undefined ? {} : { dataPool, objectBytes: MiB };
const plane = openNativePlane(clusterAccess({ monitors, user, key: new Secret(key) }));
for (let number = 0; number < Number(count); number += 1) {
  const image = count === '1' ? name : `${name}-${number}`;
  const spec = { pool: 'rbd', image };
  if (word === 'grow') await plane.resizeImage(spec, 3 * MiB, Deadline.after(30_000));
  else await plane.createImage(spec, 3 * MiB, Deadline.after(30_000), layout);
}
plane[Symbol.dispose]();
