import { expect, test } from 'vitest';
import { mapLine } from '../../../src/ceph/krbd/map-line.ts';
import { parseMapOptions } from '../../../src/ceph/krbd/map-options.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';
import { failureOf } from '../../support/expect-error.ts';

const line = {
  monitors: parseMonitors('10.0.0.1, [fd00::1]:6790'),
  user: 'xen',
  key: 'key=rbdsr-1',
  spec: { pool: 'rbd', image: 'img' },
  readOnly: false,
  options: [],
  mountTimeoutSeconds: 30,
};

test('the line for the kernel', () => {
  expect(mapLine(line)).toBe('10.0.0.1:6789,[fd00::1]:6790 name=xen,key=rbdsr-1,noshare,mount_timeout=30 rbd img -');
});

test('namespace, snapshot and options', () => {
  const spec = { pool: 'rbd', namespace: 'n', image: 'img', snapshot: 's' };
  const options = parseMapOptions('queue_depth=64,mount_timeout=9');
  expect(mapLine({ ...line, spec, options })).toBe(
    '10.0.0.1:6789,[fd00::1]:6790 name=xen,key=rbdsr-1,noshare,queue_depth=64,mount_timeout=9,ro,_pool_ns=n rbd img s',
  );
});

test('what does not fit into a page is refused', async () => {
  const long = 'x'.repeat(1024);
  const spec = { pool: long, namespace: long, image: long, snapshot: long };
  await failureOf('image-unmappable', () => mapLine({ ...line, spec }));
});
