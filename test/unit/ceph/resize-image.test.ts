import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { controlPlaneOf } from '../../../src/ceph/control/tools/ceph-tools.ts';
import { failureOf } from '../../support/expect-error.ts';
import { cephStandIn, type CephStandInOptions } from '../../support/stand-ins/recorded-ceph.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-resize-'));
afterAll(() => rmSync(folder, { recursive: true }));

const [SMALL, LARGE] = ['image of 10 MiB', 'image of 20 MiB'];

/** An image of 10 MiB is to have 20 MiB: its size when it is done. */
async function resized(meanwhile: NonNullable<CephStandInOptions['meanwhile']> = {}): Promise<number> {
  const rbd = cephStandIn(mkdtempSync(join(folder, 'bin-')), { state: SMALL, meanwhile });
  const access = clusterAccess({ monitors: '192.0.2.15', key: sampleKey('aes') });
  const plane = controlPlaneOf(access, { searchPath: [rbd.folder], runDir: join(folder, 'run') });
  return (await plane.resizeImage({ pool: 'xen', image: 'sr1' }, 20 * MiB, Deadline.after(20_000))).sizeBytes;
}

test('an image is grown', async () => {
  expect(await resized()).toBe(20 * MiB);
});

test('one that somebody else has grown to that size meanwhile is grown, although the tool refuses', async () => {
  expect(await resized({ 1: LARGE })).toBe(20 * MiB);
});

test('one that has another size is not', async () => {
  const failure = await failureOf('control-plane-failed', () => resized({ 1: LARGE, 2: SMALL }));
  expect(failure.detail.facts).toMatchObject({ errno: 'EINVAL' });
});
