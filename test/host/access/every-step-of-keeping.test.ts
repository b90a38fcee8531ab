import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { plugAll, srIntroduce } from '../../../lab/xapi-double/sr-operations.ts';
import type { Mender } from '../../../src/base/steps.ts';
import { expectAllWalked, killsOf } from '../../support/every-step.ts';
import { type LoopPool, loopPool, loseAttachRecord } from '../../support/loop-pool.ts';
import { PoolWithCluster } from './pool-with-cluster.ts';

// Every step by which an SR comes to keep its access to the cluster (src/main/protocols.ts): sr_attach is killed after
// it, what there is then is exactly what the step says it leaves, and the next sr_attach does all of it.

const KEPT = 'rbd_password_secret';

let pool: PoolWithCluster;
let typed: { readonly name: string; readonly key: string };
/** In the environment of the driver of a diverted SR. */
let fault: Record<string, string> = {};
let loops: LoopPool;
beforeAll(async () => {
  pool = await PoolWithCluster.make('keeping');
  pool.driver = (request) => pool.drive(request, fault);
  pool.xapi.db.create('SM', { type: 'lvmoiscsi', driver_filename: '/opt/xensource/sm/LVMoISCSISR', capabilities: [] });
  typed = await pool.cluster.createUser('typed', ['rbd']);
  loops = await loopPool();
});
afterAll(async () => {
  await loops?.[Symbol.asyncDispose]();
  await pool?.[Symbol.asyncDispose]();
});

/** An SR that does not keep all yet, and the call that makes it. */
interface Keeping {
  readonly double: XapiDouble;
  readonly sr: Row;
  /** The key that it is to keep. */
  readonly key: string;
  /** What it is to keep besides. */
  readonly facts: Readonly<Record<string, string>>;
  plug(env?: Readonly<Record<string, string>>): Promise<void>;
}

interface Walk {
  readonly without?: readonly string[];
  readonly make: () => Keeping;
}

/** As `xe sr-introduce` leaves it; `orphan`: two hosts plugged it at once, and one of them died. */
function ofTheWizard(orphan: boolean): Keeping {
  const { xapi } = pool;
  const sr = srIntroduce(xapi, {
    type: 'lvmoiscsi',
    uuid: randomUUID(),
    deviceConfig: {
      target: pool.ssh.address,
      port: '6789',
      chapuser: `client.${typed.name}`,
      chappassword_secret: pool.secret(typed.key),
      targetIQN: 'rbd',
      SCSIid: 'a',
    },
  });
  if (orphan) sr.fields['sm_config'] = { [KEPT]: pool.secret(typed.key) };
  return {
    double: xapi,
    sr,
    key: typed.key,
    facts: { rbd_monitors: pool.cluster.monitors.join(','), rbd_user: typed.name, rbd_own_user: 'false' },
    plug: async (env = {}) => {
      fault = { ...env };
      // There is no kernel here to map with, so that even what is whole fails after it.
      expect(await plugAll(xapi, sr.ref)).toHaveLength(1);
      fault = {};
    },
  };
}

/** `gone`: it names a secret that somebody has destroyed. */
function ofTypeRbd(gone: boolean): Keeping {
  const { double } = loops;
  const sr = double.db.get('SR', loops.srRef);
  const pbd = pbdOn(double, loops.srRef, double.master.ref);
  const { [KEPT]: kept, ...others } = mapOf(sr, 'sm_config');
  for (const { ref } of double.db.where('secret', 'uuid', kept ?? '')) double.db.destroy('secret', ref);
  sr.fields['sm_config'] = gone ? { ...others, [KEPT]: randomUUID() } : others;
  // Mapped already, and not attached.
  loseAttachRecord(loops.root(0), stringOf(sr, 'uuid'));
  const [secret] = double.db.where('secret', 'uuid', mapOf(pbd, 'device_config')['password_secret'] ?? '');
  return {
    double,
    sr,
    key: secret === undefined ? '' : stringOf(secret, 'value'),
    facts: {},
    plug: async (env = {}) => {
      pbd.fields['currently_attached'] = false;
      const errors: unknown[] = [];
      await loops.withEnvironment({ ...env }, async () => void errors.push(...(await plugAll(double, loops.srRef))));
      expect(errors).toHaveLength(Object.keys(env).length);
    },
  };
}

const walks: Readonly<Record<string, readonly Walk[]>> = {
  'an SR of the wizard keeps how it is got at': [
    { make: () => ofTheWizard(false), without: ['kept-access.after-orphan'] },
    { make: () => ofTheWizard(true) },
  ],
  'an SR of type rbd keeps its key': [
    { make: () => ofTypeRbd(false), without: ['kept-key.after-gone'] },
    { make: () => ofTypeRbd(true) },
  ],
};

interface Left {
  /** SR.sm_config, what no step of these changes left out. */
  readonly map: Readonly<Record<string, string>>;
  /** Values of the secrets that were made. */
  readonly made: readonly unknown[];
}

const OURS = [KEPT, 'rbd_monitors', 'rbd_user', 'rbd_own_user'];

function leftOf({ double, sr }: Keeping, before: ReadonlySet<string>): Left {
  const map = Object.fromEntries(Object.entries(mapOf(sr, 'sm_config')).filter(([key]) => OURS.includes(key)));
  const made = double.db.all('secret').filter(({ ref }) => !before.has(ref));
  // By which doctor knows whose it was.
  for (const secret of made) expect(mapOf(secret, 'other_config')).toEqual({ rbdsr: stringOf(sr, 'uuid') });
  return { map, made: made.map(({ fields }) => fields['value']) };
}

/** What each `leaves` of a step looks like, by its id: nothing more and nothing less. */
const looks: Readonly<Record<string, (keeping: Keeping, began: Left['map']) => Left>> = {
  'unnamed-secret': ({ key, sr }, began) => ({ map: stringOf(sr, 'type') === 'rbd' ? {} : began, made: [key] }),
  'orphan-unnamed': ({ key }) => ({ map: {}, made: [key] }),
  'facts-without-key': ({ key, facts }) => ({ map: facts, made: [key] }),
  'key-of-pbds-alone': () => ({ map: {}, made: [] }),
};

const menders: Readonly<Partial<Record<Mender, (keeping: Keeping) => Promise<void>>>> = {
  sr_attach: (keeping) => keeping.plug(),
};

const TEST = 'test/host/access/every-step-of-keeping.test.ts';

test.each(killsOf(TEST, walks))(
  '%s, killed at %s, mended by %s (%i)',
  async (_title, point, mender, _index, left, walk) => {
    const keeping = walk.make();
    const { double, sr } = keeping;
    const secrets = new Set(double.db.all('secret').map(({ ref }) => ref));
    const began = leftOf(keeping, secrets).map;
    await keeping.plug({ RBDSR_FAULT: point });
    expect(double.runs.at(-1)?.code).toBe(137);
    expect(leftOf(keeping, secrets)).toEqual(looks[left]?.(keeping, began));

    await menders[mender]?.(keeping);
    const { map } = leftOf(keeping, secrets);
    expect(map).toEqual({ ...keeping.facts, [KEPT]: expect.any(String) as string });
    const [named] = double.db.where('secret', 'uuid', map[KEPT] ?? '');
    expect(named?.fields['value']).toBe(keeping.key);
    expect(mapOf(sr, 'sm_config')[KEPT]).not.toBe(began[KEPT]);
    expect(double.offences).toEqual([]);
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
