import { describe, expect, test } from 'vitest';
import {
  decodeAllocated,
  decodeImages,
  decodeInfo,
  decodePools,
  decodeWatchers,
} from '../../../src/ceph/control/tools/ceph-tool-json.ts';
import { decodeFullness, decodeUsage } from '../../../src/ceph/control/pool-fullness.ts';
import { withoutNoise } from '../../../src/ceph/control/tools/ceph-tool-errors.ts';
import { failureOf } from '../../support/expect-error.ts';

describe('what the ceph tools print', () => {
  test('pools: those marked for rbd', () => {
    const text = `\n${JSON.stringify([
      { pool_id: 1, pool_name: 'rbd', application_metadata: { rbd: {} } },
      { pool_id: 2, pool_name: 'device_health_metrics', application_metadata: { mgr_devicehealth: {} } },
      { pool_id: 3, pool_name: 'a\nb', application_metadata: { rbd: {} } },
      { pool_id: 4, pool_name: 'old' },
    ])}\n`;
    expect(decodePools(text)).toEqual([
      { name: 'rbd', displayName: 'rbd' },
      { name: 'a\nb', displayName: String.raw`a\x0ab` },
      { name: 'old', displayName: 'old' },
    ]);
  });

  // Captured: rbd 16.2.15.
  test('images: without their snapshots', () => {
    const text =
      '[{"image":"old","id":"","size":8388608,"format":1},{"image":"t1","id":"1013eb638fb0","size":2147483648,"format":2},{"image":"t1","id":"1013eb638fb0","snapshot":"s1","snapshot_id":4,"size":2147483648,"format":2,"protected":"false"}]';
    expect(decodeImages(text, { pool: 'rbd' })).toEqual([
      { spec: { pool: 'rbd', image: 'old' }, displayName: 'old', sizeBytes: 8_388_608, format: 1 },
      { spec: { pool: 'rbd', image: 't1' }, displayName: 't1', sizeBytes: 2_147_483_648, format: 2 },
    ]);
  });

  test('info of an image', () => {
    const text =
      '{"name":"t1","id":"1013eb638fb0","size":1073741824,"objects":256,"order":22,"object_size":4194304,"snapshot_count":0,"block_name_prefix":"rbd_data.1013eb638fb0","format":2,"features":["layering","exclusive-lock"],"op_features":[],"flags":[]}';
    const facts = { sizeBytes: 1_073_741_824, format: 2, features: 5, objectBytes: 4_194_304 };
    expect(decodeInfo(text)).toEqual(facts);
    const wide = text.replace('"snapshot_count"', '"data_pool":"ec","snapshot_count"');
    expect(decodeInfo(wide)).toEqual({ ...facts, dataPool: 'ec' });
    const clone = (parent: string) => decodeInfo(text.replace('"op_features"', `"parent":{${parent}},"op_features"`));
    const parent = { pool: 'rbd', image: 'a', snapshot: 's' };
    const ofOctopus = '"pool":"rbd","pool_namespace":"ns1","image":"a","id":"102d","snapshot":"s","trash":true';
    expect(clone(ofOctopus)).toEqual({ ...facts, parent: { ...parent, namespace: 'ns1' } });
    // Before Nautilus, from ceph src/tools/rbd/action/Info.cc; not run here.
    expect(clone('"pool":"rbd","image":"a","snapshot":"s","overlap":8388608')).toEqual({ ...facts, parent });
  });

  // Captured: ceph 16.2.15, shortened; without a manager all is zeros.
  test('how full a pool is, as far as the cluster counts', async () => {
    const stats = '"stored":19,"objects":3,"kb_used":4,"bytes_used":4096,"percent_used":1e-7,"max_avail":32032864256';
    const df = (total: number, ofPool: string) =>
      `{"stats":{"total_bytes":${total}},"pools":[{"name":"rbd","id":1,"stats":{${ofPool}}}]}`;
    expect(decodeUsage(df(34_359_738_368, stats), 'rbd')).toEqual({ usedBytes: 19, freeBytes: 32_032_864_256 });
    expect(decodeUsage(df(0, stats), 'rbd')).toEqual({});
    expect(decodeUsage(df(1, stats), 'other')).toBeUndefined();
    // Before Nautilus, from ceph src/mon/PGMap.cc; not run here.
    const old = '"kb_used":1,"bytes_used":19,"percent_used":0.1,"max_avail":7,"objects":3';
    expect(decodeUsage(df(1, old), 'rbd')).toEqual({ usedBytes: 19, freeBytes: 7 });
    await failureOf('control-plane-failed', () => decodeUsage(df(1, '"stored":1'), 'rbd'));
    await failureOf('control-plane-failed', () => decodeUsage('[]', 'rbd'));

    const dump = (cluster: string, pool: string) =>
      `{"flags":"${cluster}","pools":[{"pool_name":"rbd","flags_names":"${pool}"}]}`;
    expect(decodeFullness(dump('sortbitwise', 'hashpspool'), 'rbd')).toEqual([]);
    expect(decodeFullness(dump('pauserd,pausewr,sortbitwise', 'hashpspool,nearfull,full_quota,full'), 'rbd')).toEqual([
      'full',
      'full_quota',
      'pausewr',
      'pauserd',
      'nearfull',
    ]);
    expect(decodeFullness(dump('', ''), 'other')).toBeUndefined();
  });

  // Captured: rbd 16.2.15, --whole-object.
  test('what is held of an image: what exists, in order', async () => {
    const text =
      '[{"offset":8388608,"length":4194304,"exists":"true"},{"offset":0,"length":4194304,"exists":"true"},{"offset":4194304,"length":4194304,"exists":"false"}]\n';
    expect(decodeAllocated(text)).toEqual([
      { offset: 0, length: 4_194_304 },
      { offset: 8_388_608, length: 4_194_304 },
    ]);
    expect(decodeAllocated('[]\n')).toEqual([]);
    await failureOf('control-plane-failed', () => decodeAllocated('{}'));
  });

  /**
   * What `rbd status --format json` prints, from do_show_status of each release (ceph `src/rbd.cc` to Infernalis,
   * `src/tools/rbd/action/Status.cc` since): to Mimic (13) an object with the key `watcher` for each client, since
   * Nautilus (14) a list. A slash is `\/` where the release's JSONFormatter escapes it.
   */
  const STATUS: Readonly<Record<string, (watchers: readonly string[]) => string>> = {
    'Hammer to Mimic': (watchers) =>
      `{"watchers":{${watchers.map((watcher) => `"watcher":${watcher.replace('/', '\\/')}`).join(',')}}}`,
    Nautilus: (watchers) => `{"watchers":[${watchers.join(',')}]}`,
    'Octopus, while it migrates': (watchers) =>
      `{"watchers":[${watchers.join(',')}],"migration":{"source_pool_name":"rbd","source_image_name":"x\\",\\"watchers\\":{\\"watcher\\":","state":"prepared"}}`,
    'Pacific to Squid, with a cache': (watchers) =>
      `{"watchers":[${watchers.join(',')}],"persistent_cache":{"host":"a","path":"/cache","size":1073741824,"mode":"rwl"}}`,
  };
  const CLIENTS = [
    { address: '10.66.9.1:0/3232529558', client: 4270, cookie: '1' },
    { address: '10.66.9.7:0/1', client: 4271, cookie: '18446462598732840961' },
    { address: '[fd00::7]:0/77', client: 44_110, cookie: '2' },
  ];

  test.each(Object.entries(STATUS))('every watcher, as the tools of %s print them', (_release, print) => {
    for (let count = 0; count <= CLIENTS.length; count += 1) {
      const there = CLIENTS.slice(0, count);
      const text = print(
        there.map(({ address, client, cookie }) => `{"address":"${address}","client":${client},"cookie":${cookie}}`),
      );
      expect(decodeWatchers(text), text).toEqual(there.map(({ address, client }) => ({ address, client })));
    }
  });

  test('one client that watches twice is seen', () => {
    const text =
      '{"watchers":{"watcher":{"address":"192.168.3.2:0\\/654154289","client":8937,"cookie":2},"watcher":{"address":"192.168.3.2:0\\/654154289","client":8937,"cookie":3}}}';
    expect(decodeWatchers(text)).toHaveLength(2);
  });

  test.each(['', 'nonsense', '{}', '[1]', '[{"image":5}]'])('%j is not understood', async (text) => {
    await failureOf('control-plane-failed', () => decodeImages(text, { pool: 'rbd' }));
  });

  test('lines that librados logs are no explanation', () => {
    expect(
      withoutNoise(
        '2026-11-24T08:58:58.772+0000 7f3b624931c0 -1 Falling back to public interface\nrbd: error opening image nope: (2) No such file or directory\n',
      ),
    ).toBe('rbd: error opening image nope: (2) No such file or directory');
  });
});
