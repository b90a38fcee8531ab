import { describe, expect, test } from 'vitest';
import { aboutUnfencing } from '../../../src/ceph/control/not-allowed.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { ipOfClient, allOfAddress, chosenHost, type ChosenHost } from '../../../src/fencing/chosen-host.ts';
import { type FenceWish, type ImageView, planFence, fenceRefusal } from '../../../src/fencing/fence-plan.ts';
import { outcomeInWords, planInWordsOf } from '../../../src/fencing/fence-words.ts';
import { noteKey, noteText, notesIn } from '../../../src/fencing/fence-notes.ts';
import type { PoolHost, SrImage } from '../../../src/fencing/pool-standing.ts';
import { planUnfence } from '../../../src/fencing/unfence-plan.ts';
import { failureOf } from '../../support/expect-error.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z');
const DISK = { uuid: '11111111-1111-4111-8111-111111111111', name: 'root', mode: 'RW' };
const alpha: PoolHost = hostOf('alpha', ['10.0.0.1'], { isThis: true });
const beta: PoolHost = hostOf('beta', ['192.0.2.2', '10.0.0.2', 'fd00::2']);
const HOSTS = [alpha, beta];

function hostOf(name: string, addresses: readonly string[], more: Partial<PoolHost> = {}): PoolHost {
  const uuid = `uuid-of-${name}`;
  return { ref: `ref-${name}`, uuid, name, addresses, isLive: false, heardAt: 0, isThis: false, disks: [], ...more };
}

function imageOf(image: string, pluggedOn: readonly PoolHost[] = []): SrImage {
  const uuid = srUuid('22222222-2222-4222-8222-222222222222');
  const spec = { pool: 'rbd', image };
  return { uuid, ref: `sr-${image}`, name: image, spec, pluggedOn: pluggedOn.map(({ ref }) => ref), notes: new Map() };
}

function viewOf(image: SrImage, watchers: readonly string[], more: Partial<ImageView> = {}): ImageView {
  const all = watchers.map((address, index) => ({ address, client: 4100 + index }));
  return { image, cluster: 'one', pools: ['rbd'], watchers: all, fenced: new Set(), others: [], ...more };
}

const wishFor = (host: ChosenHost, more: Partial<FenceWish> = {}): FenceWish => ({
  host,
  wholeAddress: false,
  althoughInUse: false,
  includingThisHost: false,
  ...more,
});
const named = (text: string, here: readonly string[] = []): ChosenHost => chosenHost(HOSTS, text, here);

describe('whom the operator means', () => {
  test.each(['beta', 'uuid-of-beta', '10.0.0.2', 'fd00::2'])('%s is a host of the pool', (text) => {
    expect(named(text)).toMatchObject({ title: 'beta', inPool: beta, isThis: false });
  });

  test('an address that no host has is one that is gone; one of this host is this host', () => {
    expect(named('10.0.0.9')).toEqual({ title: '10.0.0.9', addresses: ['10.0.0.9'], isThis: false });
    expect(named('10.0.0.7', ['10.0.0.7']).isThis).toBe(true);
    expect(named('alpha', ['10.0.0.7'])).toMatchObject({ isThis: true, addresses: ['10.0.0.1', '10.0.0.7'] });
  });

  test('neither a host nor an address, and a name that two have', async () => {
    await failureOf('invalid-argument', async () => named('gamma'));
    const two = [...HOSTS, { ...beta, uuid: 'other' }];
    const error = await failureOf('invalid-argument', async () => chosenHost(two, 'beta', []));
    expect(error.message).toContain('uuid-of-beta, other');
  });

  test('addresses of either family', () => {
    expect(['10.0.0.2:0/5', '[fd00::2]:0/5'].map(ipOfClient)).toEqual(['10.0.0.2', 'fd00::2']);
    expect(['10.0.0.2', 'fd00::2'].map(allOfAddress)).toEqual(['10.0.0.2:0/0', '[fd00::2]:0/0']);
  });
});

describe('what is fenced', () => {
  const disks = imageOf('disks', [alpha, beta]);

  test('each client of the host, and nobody else; a client with two images is one entry', () => {
    const views = [
      viewOf(disks, ['10.0.0.1:0/1', '10.0.0.2:0/2', '[fd00::2]:0/3', '10.0.0.22:0/4']),
      viewOf(imageOf('more'), ['10.0.0.2:0/2']),
    ];
    const { fences, unseen, reached } = planFence(wishFor(named('beta')), views, [], []);
    expect(fences.map(({ client, also }) => [client, also.length])).toEqual([
      ['10.0.0.2:0/2', 1],
      ['[fd00::2]:0/3', 0],
    ]);
    expect(unseen).toEqual([]);
    expect(reached).toEqual(views);
  });

  test('an SR that is plugged there without a client is told, and --address does without clients', () => {
    const views = [viewOf(disks, ['10.0.0.1:0/1'])];
    const plan = planFence(wishFor(named('beta')), views, [], []);
    expect(plan).toMatchObject({ fences: [], unseen: [disks] });
    expect(fenceRefusal(plan)?.message).toContain('--address');
    const whole = planFence(
      wishFor(named('beta'), { wholeAddress: true }),
      [...views, viewOf(imageOf('b'), [])],
      [],
      [],
    );
    expect(whole.fences.map(({ client }) => client)).toEqual(['192.0.2.2:0/0', '10.0.0.2:0/0', '[fd00::2]:0/0']);
    expect(fenceRefusal(whole)).toBeUndefined();
    expect(whole.reached).toHaveLength(2);
  });

  test('what was fenced before is proven once more; since xapi has heard of the host, it may have come back', () => {
    const since = '2026-11-30T11:00:00Z';
    const notes = new Map([
      ['10.0.0.2:0/2', { since, by: 'root', host: 'beta', hostUuid: 'uuid-of-beta' }],
      ['10.0.0.2:0/7', { since, by: 'root', host: 'beta', hostUuid: 'uuid-of-beta' }],
      ['10.0.0.4:0/2', { since, by: 'root', host: 'delta', hostUuid: 'uuid-of-delta' }],
    ]);
    const view = viewOf({ ...disks, notes }, [], { fenced: new Set(['10.0.0.2:0/2', '10.0.0.4:0/2']) });
    const planned = (more: Partial<PoolHost>): ReturnType<typeof planFence> => {
      const host = chosenHost([{ ...beta, ...more }], 'beta', []);
      return planFence(wishFor(host), [view], [], []);
    };
    const kept = planned({ heardAt: Date.parse(since) - 1 });
    expect(kept.fences.map(({ client }) => client)).toEqual(['10.0.0.2:0/2']);
    expect(kept.unseen).toEqual([]);
    expect(planned({ heardAt: Date.parse(since) + 1 }).unseen).toHaveLength(1);
    expect(planned({ isLive: true }).unseen).toHaveLength(1);
  });

  test('the same address on two clusters is two entries', () => {
    const views = [viewOf(disks, []), viewOf(imageOf('far'), [], { cluster: 'two' })];
    const { fences } = planFence(wishFor(named('10.0.0.9'), { wholeAddress: true }), views, [], []);
    expect(fences.map(({ client, cluster }) => `${client} ${cluster}`)).toEqual([
      '10.0.0.9:0/0 one',
      '10.0.0.9:0/0 two',
    ]);
  });

  test('whom a whole address hits besides is told; one that this host has too is refused unless that is said', () => {
    const others = [
      { address: '10.0.0.2:0/9', client: 5, image: 'rbd/x' },
      { address: '10.0.0.3:0/9', client: 6, image: 'rbd/y' },
    ];
    const views = [viewOf(disks, [], { others })];
    const plan = planFence(wishFor(named('beta'), { wholeAddress: true }), views, [], ['10.0.0.2']);
    expect(planInWordsOf(plan, NOW).join('\n')).toContain('hit besides: 10.0.0.2:0/9 (client.5), which has rbd/x open');
    expect(planInWordsOf(plan, NOW).join('\n')).not.toContain('rbd/y');
    expect(fenceRefusal(plan)?.code).toBe('sr-in-use');
    const told = planFence(
      wishFor(named('beta'), { wholeAddress: true, includingThisHost: true }),
      views,
      [],
      ['10.0.0.2'],
    );
    expect(fenceRefusal(told)).toBeUndefined();
  });

  test.each([
    ['dead, with disks', { isLive: false, disks: [DISK] }, {}, false],
    ['alive, without', { isLive: true }, {}, false],
    ['alive, with disks', { isLive: true, disks: [DISK] }, {}, true],
    ['alive, with disks, and that is said', { isLive: true, disks: [DISK] }, { althoughInUse: true }, false],
    ['this host', { isThis: true }, { althoughInUse: true }, true],
    ['this host, and that is said', { isThis: true }, { includingThisHost: true }, false],
  ])('a host that is %s', (_what, host, wish, isRefused) => {
    const chosen = chosenHost([hostOf('beta', ['10.0.0.2'], host)], 'beta', []);
    const refusal = fenceRefusal(planFence(wishFor(chosen, wish), [viewOf(disks, ['10.0.0.2:0/2'])], [], []));
    expect(refusal?.code).toBe(isRefused ? 'sr-in-use' : undefined);
    if (isRefused && chosen.inPool?.isLive === true) expect(refusal?.message).toContain(`${DISK.uuid} "root" (RW)`);
  });

  test('the account', () => {
    const views = [viewOf(imageOf('disks', [beta]), ['10.0.0.2:0/2'])];
    const unasked = [{ image: imageOf('far'), why: 'nobody answers' }];
    const lines = planInWordsOf(planFence(wishFor(named('beta')), views, unasked, []), NOW);
    expect(lines).toEqual([
      'Host beta (uuid-of-beta), at 192.0.2.2, 10.0.0.2, fd00::2: not alive, as the pool knows; no disk bears its mark.',
      'Its cluster will serve these clients nothing any more:',
      '  10.0.0.2:0/2 (client.4100), which has rbd/disks (SR 22222222-2222-4222-8222-222222222222 "disks") open',
      'until 2036-11-27, ten years: Ceph does not change the end of an entry that is there.',
      'Not asked: rbd/far (SR 22222222-2222-4222-8222-222222222222 "far"): nobody answers',
    ]);
  });

  test('what became of it: an OSD that does not answer is named', () => {
    const image = imageOf('disks');
    const fenced = [{ client: '10.0.0.2:0/2', until: '2036', wasThere: false }];
    const proof = { epoch: 7, answered: [0, 2], silent: [] as number[], unserved: 0 };
    const said = (outcome: object): string => outcomeInWords([{ image, fenced, ...outcome }]).join('\n');
    expect(said({ proof })).toContain('proven. Whatever serves it goes by epoch 7 (osd.0, osd.2)');
    expect(said({ proof: { ...proof, silent: [1] } })).toContain('NOT PROVEN: osd.1 did not answer by epoch 7');
    const problem = new RbdsrError('deadline', { what: 'waited long' });
    expect(said({ problem })).toContain('NOT PROVEN: waited long');
  });
});

describe('what is written down', () => {
  const note = { since: '2026-11-30T12:00:00Z', by: 'root on alpha', host: 'beta', hostUuid: 'uuid-of-beta' };

  test('a note is read as it was written, and what is none is none', () => {
    const map = {
      [noteKey('10.0.0.2:0/2')]: noteText(note),
      rbd_fence_x: '[1]',
      rbd_fence_y: 'no JSON',
      rbd_fsid: 'f',
    };
    expect([...notesIn(map)]).toEqual([['10.0.0.2:0/2', note]]);
  });

  test('unfence takes back what is noted for the host, wherever it was; another one at its address is left', async () => {
    const images = [imageOf('disks')];
    const known = { cluster: 'one', until: '2036', notedBy: images, images };
    const theirs = { ...known, client: '10.0.0.2:0/9', notedBy: [] };
    const fences = [{ ...known, client: '172.16.0.1:0/2', note }, theirs, { ...theirs, client: '10.0.0.3:0/9' }];
    const plan = planUnfence(HOSTS, { fences, unasked: [] }, 'beta', []);
    expect(plan.removed.map(({ client }) => client)).toEqual(['172.16.0.1:0/2']);
    expect(plan.left.map(({ client }) => client)).toEqual(['10.0.0.2:0/9']);
    expect(planUnfence(HOSTS, { fences, unasked: [] }, '10.0.0.3:0/9', []).removed).toHaveLength(1);
    await failureOf('invalid-argument', async () => planUnfence(HOSTS, { fences, unasked: [] }, '10.0.0.3:0/1', []));
    await failureOf('invalid-argument', async () => planUnfence(HOSTS, { fences: [theirs], unasked: [] }, 'beta', []));
  });

  test('the line that lets a user unfence names every pool, and the namespace', () => {
    const refused = new RbdsrError('cluster-auth', { what: 'no', facts: { user: 'xen' } });
    const places = ['rbd', 'data'].map((pool) => ({ pool, namespace: 'ns' }));
    expect(aboutUnfencing(refused, places).message).toContain(
      `\`ceph auth caps client.xen mon 'profile rbd, allow command "osd blocklist" with blocklistop=rm' osd 'profile rbd pool=rbd namespace=ns, profile rbd pool=data namespace=ns'\``,
    );
  });
});
