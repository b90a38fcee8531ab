import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { PROFILE_IDS } from '../../../src/dom0/host-profile.ts';
import { stepsOf } from '../../support/every-step.ts';
import { PoolWithDisk } from '../sm/pool-with-disk.ts';
import { expectAgreement } from './agreement.ts';

// What lets a version announce snapshots: on its profile, and with xapi as it has it, a snapshot is killed after each
// of its steps, one after the other on the same disk, and the next scan mends. What is left after each, and what else
// mends it, is the same on all versions: every-step.test.ts.

const POINTS = stepsOf('test/host/snapshots/every-step.test.ts').flatMap(({ title, name = '' }) =>
  // This one is of raw disks.
  title === 'vdi_snapshot' && name !== 'vdi-snapshot.after-source-metadata' ? [name] : [],
);

/** On 8.3b each is killed in every-step.test.ts; 6.5 announces none. */
const OTHERS = PROFILE_IDS.filter((id) => id !== '8.3b' && id !== '6.5');

test.each(OTHERS)('on %s snapshots are announced, and one killed at any step leaves no harm', async (profile) => {
  await using made = await PoolWithDisk.make({ profile });
  const { pool } = made;
  const [driver] = pool.double.db.all('SM');
  expect(driver?.fields['capabilities']).toEqual(expect.arrayContaining(['VDI_CLONE', 'VDI_SNAPSHOT']));
  const disk = await made.create({ virtualSize: 8 * MiB });
  for (const point of POINTS) {
    const content = randomBytes(3 * MiB);
    {
      await using io = await made.open(disk, 'write');
      await io.write(MiB, content);
    }
    await made.killedAt(point, () => vdiSnapshot(pool.double, disk.ref));
    await made.scan();
    await expectAgreement(pool, { scanned: true });
    await using io = await made.open(disk, 'read');
    expect((await io.read(MiB, content.length)).equals(content), point).toBe(true);
  }
});
