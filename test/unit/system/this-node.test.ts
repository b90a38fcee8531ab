import { expect, test } from 'vitest';
import { thisNode } from '../../../src/system/this-node.ts';

test('a node of the machine is started by its name', () => {
  expect(thisNode('/usr/bin/node')).toEqual(['/usr/bin/node']);
});

test('a node that was started by way of the loader beside it is started the same way', () => {
  expect(thisNode('/opt/rbdsr/1.2.3-0a1b2c3d/runtime/lib/ld-linux-x86-64.so.2')).toEqual([
    '/opt/rbdsr/1.2.3-0a1b2c3d/runtime/lib/ld-linux-x86-64.so.2',
    '--library-path',
    '/opt/rbdsr/1.2.3-0a1b2c3d/runtime/lib',
    '/opt/rbdsr/1.2.3-0a1b2c3d/runtime/bin/node',
  ]);
});
