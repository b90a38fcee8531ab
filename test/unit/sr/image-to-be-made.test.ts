import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { MiB } from '../../../src/base/units.ts';
import type { ControlPlane, ImageLayout } from '../../../src/ceph/control/control-plane.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import type { SrConfig } from '../../../src/sr/config/sr-type.ts';
import { prepareImage } from '../../../src/sr/image/image-preparation.ts';
import type { SrWork } from '../../../src/sr/work/work.ts';
import { failureOf } from '../../support/expect-error.ts';

const root = mkdtempSync(join(tmpdir(), 'rbdsr-image-to-be-made-'));
afterAll(() => rmSync(root, { recursive: true }));

const SPEC = { pool: 'rbd', image: 'new' };
const DATA_POOL = 0x80;

/** A host whose kernel maps images with these features, and a cluster that has no image yet. */
function preparing(kernel: number, layout?: ImageLayout) {
  const bus = join(root, 'sys/bus/rbd');
  mkdirSync(bus, { recursive: true });
  writeFileSync(join(bus, 'add'), '');
  writeFileSync(join(bus, 'supported_features'), `0x${kernel.toString(16)}\n`);
  const made: unknown[] = [];
  const plane = {
    imageInfo: async () => {
      throw new RbdsrError('image-missing', { what: 'there is no image rbd/new' });
    },
    createImage: async (_spec: unknown, sizeBytes: number, _deadline: unknown, as: ImageLayout) => {
      made.push({ sizeBytes, ...as });
      return { sizeBytes, features: as.dataPool === undefined ? 1 : 1 + DATA_POOL, objectBytes: 4 * MiB, format: 2 };
    },
    watchers: async () => [],
  } as unknown as ControlPlane;
  const work = {
    profile: hostProfile('8.3b', { commandDeadlineSeconds: {} }, root),
    deadline: Deadline.after(10_000),
    waiting() {},
  } as unknown as SrWork;
  const config = {
    sizeBytes: 64 * MiB,
    ...(layout === undefined ? {} : { layout }),
    controlPlane: async () => plane,
  } as unknown as SrConfig;
  return { made, prepare: () => prepareImage(work, config, SPEC) };
}

test('an image is made as device-config wants it', async () => {
  const { made, prepare } = preparing(0x1bf, { dataPool: 'ec', objectBytes: 8 * MiB });
  expect(await prepare()).toMatchObject({ features: 1 + DATA_POOL });
  expect(made).toEqual([{ sizeBytes: 64 * MiB, dataPool: 'ec', objectBytes: 8 * MiB }]);
});

test('a kernel that maps no image with its data elsewhere: none is made', async () => {
  const { made, prepare } = preparing(0x1, { dataPool: 'ec' });
  const error = await failureOf('image-features', prepare);
  expect(error.message).toContain('data-pool');
  expect(made).toEqual([]);
  const plain = preparing(0x1);
  await plain.prepare();
  expect(plain.made).toEqual([{ sizeBytes: 64 * MiB }]);
});
