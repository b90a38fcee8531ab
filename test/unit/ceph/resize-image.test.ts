import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { controlPlaneOf } from '../../../src/ceph/control/tools/ceph-tools.ts';
import { type Answer, ProgramStandIn } from '../../support/ceph-stand-in.ts';
import { failureOf } from '../../support/expect-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-resize-'));
afterAll(() => rmSync(folder, { recursive: true }));

const INFO = 'info --format json --pool=xen --image=a';
const RESIZE = 'resize --size 20M --no-progress --pool=xen --image=a';
const sized = (mib: number): Answer => ({ stdout: JSON.stringify({ size: mib * MiB, order: 22, features: [] }) });
// ceph src/tools/rbd/action/Resize.cc (main); not run here.
const EQUAL: Answer = { stderr: 'rbd: new size is equal to original size \n', exit: 22 };

/** An image of 10 MiB that becomes 20 MiB, or `then`. */
function resized(answer: Answer, then: number): Promise<{ readonly sizeBytes: number }> {
  const rbd = new ProgramStandIn(mkdtempSync(join(folder, 'bin-')), 'rbd', {
    [INFO]: [sized(10), sized(then)],
    [RESIZE]: answer,
  });
  const key = new Secret('AQA0eCVpAAAAABAAWNNzoaFdRTVUzUyMVZKm9w==');
  const access = clusterAccess({ monitors: '192.0.2.15', key });
  const plane = controlPlaneOf(access, { searchPath: [rbd.folder], runDir: join(folder, 'run') });
  return plane.resizeImage({ pool: 'xen', image: 'a' }, 20 * MiB, Deadline.after(20_000));
}

test('an image that somebody else has grown to that size meanwhile is grown, whatever the tool says', async () => {
  expect((await resized({}, 20)).sizeBytes).toBe(20 * MiB);
  expect((await resized(EQUAL, 20)).sizeBytes).toBe(20 * MiB);
});

test('one that has another size is not', async () => {
  const failure = await failureOf('control-plane-failed', () => resized(EQUAL, 10));
  expect(failure.detail.facts).toMatchObject({ errno: 'EINVAL' });
});
