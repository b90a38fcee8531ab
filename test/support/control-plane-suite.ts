import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../lab/cluster/cluster.ts';
import { Deadline } from '../../src/base/deadline.ts';
import { KiB, MiB } from '../../src/base/units.ts';
import type { ControlPlane } from '../../src/ceph/control/control-plane.ts';
import { failureOf } from './expect-error.ts';

/** One form of the control plane, on a cluster that runs, and what its account may do. */
export interface PlaneForm {
  readonly name: string;
  readonly cluster: () => Cluster;
  /** Whoever opens a plane closes it when `work` is done. */
  readonly with: <T>(work: (plane: ControlPlane) => Promise<T>) => Promise<T>;
  readonly may: {
    /** Use pool `other`, which lies beside pool `rbd`. */
    readonly everyPool: boolean;
    readonly unfence: boolean;
  };
}

const HOSTILE = [
  'a b',
  '-x',
  '--help',
  'q\'uo"te',
  'ünï',
  'tab\there',
  'nl\nx',
  '$(touch pwned)',
  'a,b',
  '\u001b[31m',
  '; reboot',
  '--conf=nonexistent',
  '--version',
];
const TEN_YEARS = 315_360_000;
const soon = (): Deadline => Deadline.after(30_000);

/**
 * What every form of the control plane does, whatever it goes by. The cluster has pools `rbd`, `other` and `unmarked`,
 * the last one for no application. Leaves image rbd/made, of 20 MiB.
 */
export function controlPlaneSuite({ name, cluster, with: withPlane, may }: PlaneForm): void {
  describe(`the control plane, ${name}`, () => {
    test('what the cluster holds of an image is told in whole objects, and nothing of one that was never written', async () => {
      const spec = { pool: 'rbd', image: `held-${name.length}` };
      await withPlane(async (plane) => {
        await plane.createImage(spec, 40 * MiB, soon());
        expect(await plane.allocated(spec, soon())).toEqual([]);
        const bytes = ['--io-type', 'write', '--io-size', '4K', '--io-total', '4K', '--io-threads', '1'];
        await cluster().tool('rbd', 'bench', `rbd/${spec.image}`, ...bytes, '--io-pattern', 'rand');
        const [part, ...more] = await plane.allocated(spec, soon());
        expect(more).toEqual([]);
        expect(part?.length).toBe(4 * MiB);
        expect((part?.offset ?? -1) % (4 * MiB)).toBe(0);
      });
    });

    test('pools marked for rbd are listed, others are not', async () => {
      const names = (await withPlane((plane) => plane.listPools(soon()))).map((pool) => pool.name);
      expect(names).toEqual(expect.arrayContaining(['rbd', 'other']));
      expect(names).not.toContain('unmarked');
    });

    test('the cluster says its fsid', async () => {
      expect(await withPlane((plane) => plane.clusterId(soon()))).toBe(cluster().fsid);
    });

    test('an image is made once, with layering only, and grows', async () => {
      const spec = { pool: 'rbd', image: 'made' };
      await withPlane(async (plane) => {
        const made = await plane.createImage(spec, 10 * MiB + 1, soon());
        expect(made).toEqual({ sizeBytes: 11 * MiB, format: 2, features: 1, objectBytes: 4 * MiB });
        expect(await plane.createImage(spec, 99 * MiB, soon())).toEqual(made);
        expect((await plane.resizeImage(spec, 20 * MiB, soon())).sizeBytes).toBe(20 * MiB);
        expect((await plane.resizeImage(spec, 20 * MiB, soon())).sizeBytes).toBe(20 * MiB);
        await failureOf('invalid-argument', () => plane.resizeImage(spec, 10 * MiB, soon()));
      });
      expect((await cluster().imageInfo('rbd/made')).size).toBe(20 * MiB);
    });

    test('names that a shell or an option parser would take for something else are data', async () => {
      await withPlane(async (plane) => {
        for (const image of HOSTILE) await plane.createImage({ pool: 'rbd', image }, MiB, soon());
        const listed = await plane.listImages('rbd', undefined, soon());
        expect(listed.map(({ spec }) => spec.image)).toEqual(expect.arrayContaining(HOSTILE));
        expect(listed.find(({ spec }) => spec.image === 'nl\nx')?.displayName).toBe(String.raw`nl\x0ax`);
        for (const image of HOSTILE) {
          expect((await plane.imageInfo({ pool: 'rbd', image }, soon())).sizeBytes).toBe(MiB);
        }
      });
    });

    test('a name the rbd tool would take apart is refused instead of acting on another image', async () => {
      await withPlane(async (plane) => {
        await failureOf('control-plane-failed', () => plane.imageInfo({ pool: 'rbd', image: 'other/x' }, soon()));
        await failureOf('control-plane-failed', () => plane.createImage({ pool: 'rbd', image: 'x@y' }, MiB, soon()));
      });
    });

    test('a namespace is a place of its own', async () => {
      await cluster().tool('rbd', 'namespace', 'create', 'rbd/ns1');
      const spec = { pool: 'rbd', namespace: 'ns1', image: 'inside' };
      await withPlane(async (plane) => {
        await plane.createImage(spec, MiB, soon());
        expect((await plane.listImages('rbd', 'ns1', soon())).map((entry) => entry.spec)).toEqual([spec]);
        await failureOf('image-missing', () => plane.imageInfo({ pool: 'rbd', image: 'inside' }, soon()));
      });
    });

    test('the namespaces of a pool are listed, the default one is not', async () => {
      const names = ['b 2', 'a,1', 'ünï'].map((start) => `${start}-${name.length}`);
      for (const namespace of names)
        await cluster().tool('rbd', 'namespace', 'create', '--pool', 'rbd', '--namespace', namespace);
      await withPlane(async (plane) => {
        expect(await plane.listNamespaces('rbd', soon())).toEqual(expect.arrayContaining(names));
        expect(await plane.listNamespaces('rbd', soon())).not.toContain('');
        await failureOf('pool-missing', () => plane.listNamespaces('nopool', soon()));
      });
    });

    test('an image of format 1 is listed, and called so', async () => {
      await cluster().createOldImage('rbd/format-one', { sizeMiB: 12 });
      const spec = { pool: 'rbd', image: 'format-one' };
      await withPlane(async (plane) => {
        const info = { sizeBytes: 12 * MiB, format: 1, features: 0, objectBytes: 4 * MiB };
        expect(await plane.imageInfo(spec, soon())).toEqual(info);
        expect(await plane.createImage(spec, MiB, soon())).toEqual(info);
        const listed = await plane.listImages('rbd', undefined, soon());
        const formats = new Map(listed.map((entry) => [entry.spec.image, entry.format]));
        expect([formats.get('format-one'), formats.get('made')]).toEqual([1, 2]);
        expect(await plane.watchers(spec, soon())).toEqual([]);
      });
      await cluster().removeImage('rbd/format-one');
    });

    test('features, the pool of the data and the parent of an image are told, in the trash too', async () => {
      const parent = { pool: 'rbd', namespace: `of-${name.length}`, image: 'parent of it', snapshot: 'then, now' };
      const rest = ['--data-pool', 'other', '--image-feature', 'layering,exclusive-lock'];
      await cluster().tool('rbd', 'namespace', 'create', `rbd/${parent.namespace}`);
      const place = ['--pool', 'rbd', '--namespace', parent.namespace, '--image', parent.image];
      await cluster().tool('rbd', 'create', '--size', '8M', ...place);
      await cluster().tool('rbd', 'snap', 'create', '--no-progress', ...place, '--snap', parent.snapshot);
      const clone = `clone-${name.length}`;
      const from = [...place, '--snap', parent.snapshot, '--dest-pool', 'rbd', '--dest', clone];
      await cluster().tool('rbd', 'clone', '--rbd-default-clone-format', '2', ...rest, ...from);
      await withPlane(async (plane) => {
        const info = { sizeBytes: 8 * MiB, format: 2, objectBytes: 4 * MiB, dataPool: 'other', parent };
        // Layering, exclusive-lock, data-pool and operations.
        const whole = { ...info, features: 0x185 };
        expect(await plane.imageInfo({ pool: 'rbd', image: clone }, soon())).toEqual(whole);
        await cluster().tool('rbd', 'trash', 'mv', ...place);
        expect(await plane.imageInfo({ pool: 'rbd', image: clone }, soon())).toEqual(whole);
      });
      await cluster().removeImage(`rbd/${clone}`);
    });

    test('objects are as large as they are asked to be', async () => {
      const spec = { pool: 'rbd', image: `objects-${name.length}` };
      await withPlane(async (plane) => {
        const wrong = [2 * KiB, 3 * MiB, 64 * MiB, 0, Number.NaN];
        for (const objectBytes of wrong) {
          await failureOf('invalid-argument', () => plane.createImage(spec, MiB, soon(), { objectBytes }));
        }
        await failureOf('pool-missing', () => plane.createImage(spec, MiB, soon(), { dataPool: 'nopool' }));
        await failureOf('image-missing', () => plane.imageInfo(spec, soon()));
        const made = await plane.createImage(spec, 8 * MiB, soon(), { objectBytes: 64 * KiB, dataPool: 'rbd' });
        expect(made).toEqual({ sizeBytes: 8 * MiB, format: 2, features: 1, objectBytes: 64 * KiB });
      });
      await cluster().tool(
        'rbd',
        'bench',
        '--io-type',
        'write',
        '--io-size',
        '4K',
        '--io-total',
        '64K',
        `rbd/${spec.image}`,
      );
      await cluster().removeImage(`rbd/${spec.image}`);
    });

    test('how much a pool holds and how much more fits is told, and whether it or the cluster is full', async () => {
      await withPlane(async (plane) => {
        // A manager tells of a pool some seconds after it has begun.
        const used = async () => (await plane.poolSpace('rbd', soon())).usedBytes ?? 0;
        await expect.poll(used, { timeout: 60_000 }).toBeGreaterThan(0);
        const { usedBytes = 0, freeBytes = 0, flags } = await plane.poolSpace('rbd', soon());
        expect(freeBytes).toBeGreaterThan(usedBytes);
        expect(flags).toEqual([]);
        await failureOf('pool-missing', () => plane.poolSpace('nopool', soon()));
      });
      const flagsNow = () => withPlane(async (plane) => (await plane.poolSpace('rbd', soon())).flags);
      const untilFlags = (flags: readonly string[]) => expect.poll(flagsNow, { timeout: 60_000 }).toEqual(flags);
      try {
        await cluster().tool('ceph', 'osd', 'set', 'pause');
        await untilFlags(['pausewr', 'pauserd']);
        await cluster().tool('ceph', 'osd', 'unset', 'pause');
        await cluster().tool('ceph', 'osd', 'set-nearfull-ratio', '0.000001');
        await untilFlags(['nearfull']);
      } finally {
        await cluster().tool('ceph', 'osd', 'unset', 'pause');
        await cluster().tool('ceph', 'osd', 'set-nearfull-ratio', '0.85');
      }
      await untilFlags([]);
    });

    test('a manager that is not there keeps nothing from being told', async () => {
      await cluster().daemons.stop('mgr.x');
      try {
        await withPlane(async (plane) => {
          expect((await plane.listPools(soon())).map((pool) => pool.name)).toContain('rbd');
          expect((await plane.poolSpace('rbd', soon())).flags).toEqual([]);
          expect((await plane.imageInfo({ pool: 'rbd', image: 'made' }, soon())).sizeBytes).toBe(20 * MiB);
          await plane.createImage({ pool: 'rbd', image: `unmanaged-${name.length}` }, MiB, soon());
        });
      } finally {
        await cluster().daemons.start('mgr.x');
      }
    });

    test('who has an image open is seen', async () => {
      await withPlane(async (plane) => {
        const spec = { pool: 'rbd', image: 'watched' };
        await plane.createImage(spec, MiB, soon());
        expect(await plane.watchers(spec, soon())).toEqual([]);
        const watcher = spawn('rbd', ['--conf', cluster().configPath, 'watch', 'rbd/watched'], {
          stdio: ['pipe', 'ignore', 'ignore'],
        });
        try {
          // `rbd watch` ends when its stdin does.
          const seen = await soon().until(async () => {
            const [found] = await plane.watchers(spec, soon());
            return found;
          }, 'the watcher to show');
          expect(seen.address).toMatch(/^[0-9.]+:[0-9]+\/[0-9]+$/);
          expect(seen.client).toBeGreaterThan(0);
        } finally {
          watcher.kill('SIGKILL');
        }
      });
    });

    test('an image that cannot be opened does not hide the others', async () => {
      await cluster().createImage('rbd/broken', { sizeMiB: 8 });
      const { id } = await cluster().imageInfo('rbd/broken');
      await cluster().tool('rados', '-p', 'rbd', 'rm', `rbd_header.${id}`);
      const listed = await withPlane((plane) => plane.listImages('rbd', undefined, soon()));
      const names = listed.map(({ spec }) => spec.image);
      expect(names).toContain('made');
      expect(names).not.toContain('broken');
    });

    test('one client can be fenced; not every account may end it', async () => {
      const client = '10.99.99.99:0/4711';
      await withPlane(async (plane) => {
        await plane.fence(client, 60, soon());
        expect(await cluster().tool('ceph', 'osd', 'blocklist', 'ls')).toContain(client);
        if (may.unfence) await plane.unfence(client, soon());
        else await failureOf('cluster-auth', () => plane.unfence(client, soon()));
      });
      const fenced = await cluster().tool('ceph', 'osd', 'blocklist', 'ls');
      expect(fenced.includes(client)).toBe(!may.unfence);
    });

    test('all that is fenced is listed with its end, which fencing again does not change', async () => {
      const client = '10.99.99.97:0/1';
      await withPlane(async (plane) => {
        const endOf = async (): Promise<string | undefined> =>
          (await plane.fences(soon())).find((fence) => fence.client === client)?.until;
        await cluster().tool('ceph', 'osd', 'blocklist', 'add', client, '3600');
        const end = await endOf();
        expect(Date.parse(end ?? '') - Date.now()).toBeGreaterThan(3_000_000);
        await plane.fence(client, TEN_YEARS, soon());
        expect(await endOf()).toBe(end);
        await cluster().tool('ceph', 'osd', 'blocklist', 'rm', client);
        expect(await endOf()).toBeUndefined();
        await plane.fence(client, TEN_YEARS, soon());
        expect((Date.parse((await endOf()) ?? '') - Date.now()) / 1000).toBeGreaterThan(TEN_YEARS - 3600);
        await cluster().tool('ceph', 'osd', 'blocklist', 'rm', client);
      });
    });

    test.each(['10.99.99.99', '10.99.99.99:0', '', '--help', '1/1 x'])('%j is no client to fence', async (address) => {
      await withPlane((plane) => failureOf('invalid-argument', () => plane.fence(address, 60, soon())));
    });

    test('a pool, a namespace, an image that is not there', async () => {
      await withPlane(async (plane) => {
        const pool = await failureOf('pool-missing', () => plane.listImages('nopool', undefined, soon()));
        expect(pool.message).toContain('"nopool"');
        await failureOf('pool-missing', () => plane.createImage({ pool: 'nopool', image: 'x' }, MiB, soon()));
        const namespace = await failureOf('pool-missing', () => plane.listImages('rbd', 'nons', soon()));
        expect(namespace.message).toContain('"nons"');
        const image = await failureOf('image-missing', () => plane.imageInfo({ pool: 'rbd', image: 'nope' }, soon()));
        expect(image.message).toContain('rbd/nope');
      });
    });

    test('a pool of somebody else', async () => {
      await withPlane(async (plane) => {
        if (may.everyPool) expect(await plane.listImages('other', undefined, soon())).toEqual([]);
        else await failureOf('cluster-auth', () => plane.listImages('other', undefined, soon()));
      });
    });
  });
}
