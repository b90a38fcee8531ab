import { afterAll, beforeAll, expect, test } from 'vitest';
import { freezeProcess, pidOf } from '../../../lab/machine/program.ts';
import { setTimeout as pause } from 'node:timers/promises';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { MiB } from '../../../src/base/units.ts';
import { expectAllWalked, killsOf } from '../../support/every-step.ts';
import { type Client, FencedPool } from './fenced-pool.ts';

// Every step of fencing, of taking it back and of growing (src/main/protocols.ts): the built command is killed after
// it, what there is then is what the step says it leaves, and the same command again ends it.

const SUCCESS = `<?xml version="1.0"?><methodResponse><params><param><value><nil/></value></param></params></methodResponse>`;

let fenced: FencedPool;
beforeAll(async () => {
  fenced = await FencedPool.make('fence-steps');
});
afterAll(() => fenced?.[Symbol.asyncDispose]());

interface Case extends AsyncDisposable {
  readonly call: (env?: Record<string, string>) => Promise<{ readonly code: number; readonly said: string }>;
  readonly client: Client;
  readonly row: Awaited<ReturnType<FencedPool['sr']>>['row'];
  readonly image: string;
  /** Commands that the driver was run with. */
  readonly driven: string[];
}

let count = 0;

async function begun(words: (uuid: string) => readonly string[]): Promise<Case> {
  count += 1;
  const image = `steps-${count}`;
  const mon = 'profile rbd, allow command "osd blocklist" with blocklistop=rm';
  const { uuid, row } = await fenced.sr(image, { mon });
  const client = await fenced.client(image);
  await freezeProcess(pidOf(client.process));
  const driven: string[] = [];
  fenced.pool.driver = (request) => {
    driven.push(/<name>command<\/name>\s*<value>(?:<string>)?([a-z_]+)/.exec(request)?.[1] ?? 'unknown');
    if (driven.at(-1) === 'sr_scan') row.fields['physical_size'] = 252 * MiB;
    return { code: 0, stdout: SUCCESS, stderr: '' };
  };
  return {
    call: (env = {}) => fenced.pool.rbdsr(words(uuid), '', env),
    client,
    row,
    image,
    driven,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      fenced.forget(row);
    },
  };
}

/** Its client ends, so that the image's notification waits for nobody. */
async function growing(): Promise<Case> {
  const made = await begun((uuid) => ['grow', uuid, '--size', '256M']);
  await made.client[Symbol.asyncDispose]();
  await fenced.pool.cluster.tool('ceph', 'osd', 'blocklist', 'add', made.client.address, '60');
  made.row.fields['physical_size'] = 60 * MiB;
  fenced.mapHere(made.image, 256 * MiB);
  for (const pbd of fenced.pool.xapi.db.where('PBD', 'host', fenced.beta.ref)) pbd.fields['currently_attached'] = false;
  return made;
}

const isListed = async ({ client }: Case): Promise<boolean> =>
  Object.keys(await fenced.blocklist()).includes(client.address);
const sizeOf = async ({ image }: Case): Promise<number> => (await fenced.pool.cluster.imageInfo(`rbd/${image}`)).size;

const fence = async (): Promise<Case> => begun(() => ['fence', 'beta']);

const walking = {
  walks: {
    '`rbdsr fence`, one client': [
      {
        without: [],
        begin: fence,
        ends: async (made: Case) => {
          expect(await isListed(made)).toBe(true);
          expect(fenced.notes(made.row)).toEqual([`rbd_fence_${made.client.address}`]);
        },
      },
    ],
    '`rbdsr unfence`, one client': [
      {
        without: [],
        begin: async () => {
          const made = await begun(() => ['unfence', 'beta']);
          expect((await fenced.pool.rbdsr(['fence', 'beta'])).code).toBe(0);
          return made;
        },
        ends: async (made: Case) => {
          expect(await isListed(made)).toBe(false);
          expect(fenced.notes(made.row)).toEqual([]);
        },
      },
    ],
    '`rbdsr grow`': [
      {
        without: [],
        begin: growing,
        ends: async (made: Case) => {
          expect(await sizeOf(made)).toBe(256 * MiB);
          expect(made.driven).toEqual(['sr_scan', 'sr_update']);
        },
      },
    ],
  },
  menders: { again: ({ call }: Case) => call() },
  looks: {
    noted: async (made: Case) => {
      expect(await isListed(made)).toBe(false);
      expect(fenced.notes(made.row)).toEqual([`rbd_fence_${made.client.address}`]);
      expect((await fenced.pool.rbdsr(['fences'])).said).not.toContain(made.client.address);
    },
    'old-note': async (made: Case) => {
      expect(await isListed(made)).toBe(false);
      expect(fenced.notes(made.row)).toEqual([`rbd_fence_${made.client.address}`]);
    },
    'image-grown': async (made: Case) => {
      expect(await sizeOf(made)).toBe(256 * MiB);
      expect(made.driven).toEqual([]);
    },
  },
};

const HERE = 'test/host/fencing/every-step.test.ts';

test('every step is walked', () => {
  expectAllWalked(HERE, walking);
});

test.each(killsOf(HERE, walking.walks))(
  '%s, killed at %s, then %s',
  async (_title, point, mender, _index, state, walk) => {
    await using made = await walk.begin();
    expect((await made.call({ RBDSR_FAULT: point })).code).not.toBe(0);
    // A killed launcher leaves its worker a moment.
    await pause(200);
    await walking.looks[state as keyof typeof walking.looks](made);
    const { code, said } = await walking.menders[mender as 'again'](made);
    expect(code, said).toBe(0);
    await walk.ends(made);
  },
);

test('where the master does not see the new size, LVM is told nothing; once it does, the same command goes on', async () => {
  await using made = await growing();
  fenced.mapHere(made.image, 64 * MiB);
  const { code, said } = await made.call();
  expect(code).toBe(1);
  expect(said).toMatch(/the pool's master does not see it; found alpha: its kernel still sees 64 MiB/);
  expect(await sizeOf(made)).toBe(256 * MiB);
  expect(made.driven).toEqual([]);
  fenced.mapHere(made.image, 256 * MiB);
  expect((await made.call()).code).toBe(0);
  expect(made.driven).toEqual(['sr_scan', 'sr_update']);
});

test('a host that has it plugged and does not tell is named; nothing is done with --dry-run', async () => {
  await using made = await growing();
  const dry = await fenced.pool.rbdsr(['grow', stringOf(made.row, 'uuid'), '--size', '256M', '--dry-run']);
  expect(dry.code).toBe(0);
  expect(dry.said).toMatch(/image rbd\/\S+ grows from 64 MiB to 256 MiB/);
  expect(await sizeOf(made)).toBe(64 * MiB);
  for (const pbd of fenced.pool.xapi.db.where('PBD', 'host', fenced.beta.ref)) pbd.fields['currently_attached'] = true;
  fenced.pool.xapi.offline.add(fenced.beta.ref);
  const { code, said } = await made.call();
  fenced.pool.xapi.offline.delete(fenced.beta.ref);
  expect(code).toBe(1);
  expect(said).toMatch(/Has not taken note: beta: .*HOST_OFFLINE/);
  expect(said).toContain('has 252 MiB by now; it had 60 MiB');
});
