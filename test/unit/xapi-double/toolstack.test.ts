import { describe, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { hostDeclaredDead, poolJoin, toolstackStarts } from '../../../lab/xapi-double/toolstack.ts';
import { vdiActivate, vdiAttach } from '../../../lab/xapi-double/vdi-operations.ts';
import { startDriverPool, startSrPool } from './fixture.ts';

describe('when xapi starts on a host', () => {
  test('marks go of disks that are not in use there, and of hosts that are none; a disk in use is marked', async () => {
    const { double, sr } = await startSrPool();
    const [here = '', there = ''] = double.hosts.map(({ ref }) => ref);
    const gone = 'OpaqueRef:gone';
    const all = { vdi_type: 'vhd', [`host_${here}`]: 'RW', [`host_${there}`]: 'RO', [`host_${gone}`]: 'RW' };
    const [idle, used]: Row[] = [1, 2].map((_n) => double.db.create('VDI', { SR: sr, sm_config: all }));
    if (idle === undefined || used === undefined) throw new Error('no disks');
    await vdiAttach(double, here, used.ref, { writable: true });
    await vdiActivate(double, here, used.ref, { writable: true });
    used.fields['sm_config'] = { vdi_type: 'vhd' };
    toolstackStarts(double, here);
    expect(mapOf(idle, 'sm_config')).toEqual({ vdi_type: 'vhd', [`host_${there}`]: 'RO' });
    expect(mapOf(used, 'sm_config')).toEqual({ vdi_type: 'vhd', [`host_${here}`]: 'RW' });
  });

  test.each([
    ['8.3a', 1],
    ['master', 0],
  ] as const)('a driver whose file it has not: of %s there are %d left', async (profile, left) => {
    const { double, driver } = await startDriverPool(profile);
    toolstackStarts(double, double.master.ref, new Set([driver]));
    expect(double.db.all('SM')).toHaveLength(1);
    toolstackStarts(double, double.master.ref, new Set());
    expect(double.db.all('SM')).toHaveLength(left);
  });
});

describe('a host that is declared dead', () => {
  test('its marks go once the hook has the locks of its SRs, and are there until then', async () => {
    const { double, sr } = await startSrPool();
    const [here = '', dead = ''] = double.hosts.map(({ ref }) => ref);
    const marks = { [`host_${here}`]: 'RW', [`host_${dead}`]: 'RW' };
    const vdi = double.db.create('VDI', { SR: sr, sm_config: marks });
    const asked: string[] = [];
    const passes = (is: boolean) => async (srUuid: string) => (asked.push(srUuid), is);
    await expect(hostDeclaredDead(double, dead, passes(false))).rejects.toThrow('waits for a lock');
    expect(mapOf(vdi, 'sm_config')).toEqual(marks);
    await hostDeclaredDead(double, dead, passes(true));
    expect(mapOf(vdi, 'sm_config')).toEqual({ [`host_${here}`]: 'RW' });
    const uuid = stringOf(double.db.get('SR', sr), 'uuid');
    expect(asked).toEqual([uuid, uuid]);
    const plugged = double.db.where('PBD', 'SR', sr).filter(({ fields }) => fields['currently_attached'] === true);
    expect(plugged.map(({ fields }) => fields['host'])).toEqual([here]);
  });
});

describe('a host that joins', () => {
  test.each([
    ['without the driver', new Map()],
    ['with one that can do less', new Map([['stock', ['VDI_CREATE']]])],
  ])('%s is refused', async (_what, features) => {
    const { double } = await startDriverPool('master');
    expect(() => poolJoin(double, features)).toThrow('POOL_JOINING_SM_FEATURES_INCOMPATIBLE');
    const older = await startDriverPool('8.3a');
    expect(() => poolJoin(older.double, features)).not.toThrow();
  });

  test('with the same one is taken', async () => {
    const { double } = await startDriverPool('master');
    const [sm] = double.db.all('SM');
    const capabilities = sm?.fields['capabilities'] as readonly string[];
    expect(() => poolJoin(double, new Map([[stringOf(sm!, 'type'), capabilities]]))).not.toThrow();
  });
});
