import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freezeProcess, pidOf, thawProcess } from '../../../lab/machine/program.ts';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { FencedPool, THERE } from './fenced-pool.ts';

const TEN_YEARS_MS = 315_360_000_000;
const HOUR_MS = 3_600_000;

let fenced: FencedPool;
beforeAll(async () => {
  fenced = await FencedPool.make('fencing');
});
afterAll(() => fenced?.[Symbol.asyncDispose]());

const rbdsr = (...args: readonly string[]) => fenced.pool.rbdsr(args);
const json = async <T>(...args: readonly string[]): Promise<T> => {
  const { said } = await rbdsr(...args, '--json');
  return JSON.parse(said) as T;
};

describe('rbdsr fence', () => {
  test('a plan says whom it will fence, and changes nothing', async () => {
    const { uuid, row } = await fenced.sr('planned');
    await using client = await fenced.client('planned');
    const { code, said } = await rbdsr('fence', 'beta', '--dry-run');
    expect(said).toContain(`Host beta (${stringOf(fenced.beta, 'uuid')}), at 192.0.2.2, ${THERE}: not alive`);
    expect(said).toMatch(new RegExp(`${client.address} \\(client\\.[0-9]+\\), which has rbd/planned \\(SR ${uuid} `));
    expect(said).toContain('ten years');
    expect(said).toContain('Nothing was changed (--dry-run).');
    expect(code).toBe(0);
    expect(Object.keys(await fenced.blocklist())).not.toContain(client.address);
    expect(fenced.notes(row)).toEqual([]);
    fenced.forget(row);
  });

  test('a client is fenced for ten years by its address and nonce, proven, and written down; nobody else is hit', async () => {
    const { uuid, row } = await fenced.sr('taken');
    const mine = await fenced.sr('mine');
    await using client = await fenced.client('taken');
    await using frozen = await fenced.client('taken');
    await freezeProcess(pidOf(frozen.process));
    const { code, said } = await rbdsr('fence', stringOf(fenced.beta, 'uuid'));
    expect(said).toContain('Not seen: rbd/mine');
    // Of the other SR nobody can say that beta does not use it.
    expect(code).toBe(1);
    expect(said).toMatch(
      new RegExp(`rbd/taken \\(SR ${uuid} "taken"\\): proven\\. Whatever serves it goes by epoch [0-9]+`),
    );
    const list = await fenced.blocklist();
    for (const { address } of [client, frozen]) {
      expect(Math.abs(Date.parse(list[address] ?? '') - Date.now() - TEN_YEARS_MS)).toBeLessThan(HOUR_MS);
    }
    expect(fenced.notes(row).toSorted()).toEqual(
      [client, frozen].map(({ address }) => `rbd_fence_${address}`).toSorted(),
    );
    expect(fenced.notes(mine.row)).toEqual([]);
    // Its next write fails, and so does what the frozen one sends after the fence.
    expect(await client.ended).not.toBe(0);
    thawProcess(pidOf(frozen.process));
    expect(await frozen.ended).not.toBe(0);
    fenced.forget(mine.row);
    fenced.forget(row);
  });

  test('again is the same, and asks for the proof once more, unless the host may have come back meanwhile', async () => {
    const { row } = await fenced.sr('again');
    await using client = await fenced.client('again');
    await freezeProcess(pidOf(client.process));
    expect((await rbdsr('fence', 'beta')).code).toBe(0);
    const { code, said } = await rbdsr('fence', 'beta');
    expect(code).toBe(0);
    expect(said).toMatch(new RegExp(`${client.address} was fenced already, until .*proven\\.`, 's'));
    expect(fenced.notes(row)).toHaveLength(1);
    // Since xapi has heard of it, it may have mapped the image anew.
    fenced.heardNow();
    const unsure = await rbdsr('fence', 'beta');
    expect(unsure.said).toMatch(/Not seen: rbd\/again.*--address/s);
    expect(unsure.code).toBe(1);
    fenced.heardNow(0);
    fenced.forget(row);
  });

  test('an entry of somebody else stays theirs, and its end is told', async () => {
    const { row } = await fenced.sr('theirs');
    const client = '203.0.113.9:0/0';
    await fenced.pool.cluster.tool('ceph', 'osd', 'blocklist', 'add', client, '3600');
    const end = (await fenced.blocklist())[client] ?? '';
    const { code, said } = await rbdsr('fence', '203.0.113.9', '--address');
    expect(said).toMatch(/203\.0\.113\.9 is no host of this pool/);
    expect(said).toContain(`${client} was fenced already, until ${end}`);
    expect(said).toContain(': proven.');
    expect(code).toBe(0);
    expect(fenced.notes(row)).toEqual([]);
    const { fences } = await json<{ fences: { client: string; until: string; ours?: object }[] }>('fences');
    expect(fences.find((fence) => fence.client === client)).toMatchObject({ until: end });
    expect(fences.find((fence) => fence.client === client)?.ours).toBeUndefined();
    fenced.forget(row);
  });

  test('a host that is alive and uses disks, and this host, are refused unless that is said', async () => {
    const { row } = await fenced.sr('used');
    fenced.pool.xapi.db.create('VDI', {
      SR: row.ref,
      name_label: 'root disk',
      sm_config: { [`host_${fenced.beta.ref}`]: 'RW' },
    });
    await using client = await fenced.client('used');
    await freezeProcess(pidOf(client.process));
    fenced.betaIsLive = true;
    const used = await rbdsr('fence', 'beta');
    expect(used.code).toBe(1);
    expect(used.said).toMatch(
      /host beta is alive, as the pool knows, and uses a disk.*"root disk" \(RW\).*--although-in-use/s,
    );
    const own = await rbdsr('fence', 'alpha');
    expect(own.code).toBe(1);
    expect(own.said).toMatch(/alpha is this host.*--including-this-host/s);
    expect(Object.keys(await fenced.blocklist())).not.toContain(client.address);
    expect((await rbdsr('fence', 'beta', '--although-in-use')).code).toBe(0);
    expect(Object.keys(await fenced.blocklist())).toContain(client.address);
    fenced.betaIsLive = false;
    fenced.forget(row);
  });

  test('a whole address says whom it hits besides', async () => {
    const { row } = await fenced.sr('whole');
    await fenced.pool.cluster.createImage('rbd/nobodys', { sizeMiB: 64 });
    await using neighbour = await fenced.client('nobodys');
    const { code, said } = await rbdsr('fence', THERE, '--address', '--dry-run');
    expect(code).toBe(0);
    expect(said).toContain(`${THERE}:0/0, every client of that address`);
    expect(said).toMatch(
      new RegExp(`hit besides: ${neighbour.address} \\(client\\.[0-9]+\\), which has rbd/nobodys open`),
    );
    fenced.forget(row);
  });

  test('a host that nobody knows, and one that has nothing open', async () => {
    const { row } = await fenced.sr('idle');
    expect((await rbdsr('fence', 'gamma')).said).toMatch(/no host "gamma".*beta.*or an address/s);
    const idle = await rbdsr('fence', 'beta');
    expect(idle.code).toBe(1);
    expect(idle.said).toMatch(/no client of beta has the image of an SR open.*--address/s);
    fenced.forget(row);
  });
});

describe('rbdsr fences and unfence', () => {
  test('what we did is told with since when and by whom; what others did is not ours', async () => {
    const { row } = await fenced.sr('told');
    await using client = await fenced.client('told');
    await freezeProcess(pidOf(client.process));
    await fenced.pool.cluster.tool('ceph', 'osd', 'blocklist', 'add', '10.97.0.1:0/7', '600');
    await rbdsr('fence', 'beta');
    const { code, said } = await rbdsr('fences');
    expect(code).toBe(0);
    expect(said).toMatch(
      new RegExp(`^${client.address} .* ${new Date().toISOString().slice(0, 10)}T\\S+ +\\S+ on alpha +beta `, 'm'),
    );
    expect(said).toMatch(/^10\.97\.0\.1:0\/7 .* not ours/m);
    fenced.forget(row);
  });

  test('a user who may not is given the line that lets it, and what does without; the line is right', async () => {
    const { row, user } = await fenced.sr('caged');
    await using client = await fenced.client('caged');
    await freezeProcess(pidOf(client.process));
    await rbdsr('fence', 'beta');
    const refused = await rbdsr('unfence', 'beta');
    expect(refused.code).toBe(1);
    expect(refused.said).toMatch(/has a new nonce, and is not fenced/);
    const [, line = ''] = /`(ceph auth caps [^`]*)`/.exec(refused.said) ?? [];
    expect(line).toContain(`client.${user}`);
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    await fenced.pool.cluster.tool('ceph', ...words.slice(1));
    const dry = await rbdsr('unfence', 'beta', '--dry-run');
    expect(dry.said).toContain(client.address);
    expect(Object.keys(await fenced.blocklist())).toContain(client.address);
    const { code, said } = await rbdsr('unfence', 'beta');
    expect(said).toContain(`Not fenced any more: ${client.address}.`);
    expect(code).toBe(0);
    expect(Object.keys(await fenced.blocklist())).not.toContain(client.address);
    expect(fenced.notes(row)).toEqual([]);
    fenced.forget(row);
  });

  test('what is not ours is left and named; by its own name it is taken away', async () => {
    const { row } = await fenced.sr('left', {
      mon: 'profile rbd, allow command "osd blocklist" with blocklistop=rm',
    });
    const other = `${THERE}:0/4711`;
    await fenced.pool.cluster.tool('ceph', 'osd', 'blocklist', 'add', other, '600');
    const refused = await rbdsr('unfence', 'beta');
    expect(refused.code).toBe(1);
    expect(refused.said).toContain('not ours');
    expect(Object.keys(await fenced.blocklist())).toContain(other);
    expect((await rbdsr('unfence', other)).code).toBe(0);
    expect(Object.keys(await fenced.blocklist())).not.toContain(other);
    fenced.forget(row);
  });
});
