import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { type ClassName, type Row, SCHEMA, stringOf } from '../../../lab/xapi-double/database.ts';
import { srCall } from '../../../lab/xapi-double/driver.ts';
import { openDriverSession } from '../../../lab/xapi-double/double.ts';
import { requestDocument } from '../../../lab/xapi-double/request-document.ts';
import { vdiCreate, vdiGenerateConfig } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { COMMAND_NAMES, findCommand } from '../../../src/sm/commands.ts';
import { tellsOfLateWriter } from '../../../src/sr/work/late-writers.ts';
import { PLUGIN_FUNCTIONS } from '../../../src/sm/plugin/plugin-functions.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { OtherHolder } from '../../support/stock-locks.ts';

/**
 * A request of a command that has code, as xapi sends it for the one disk of the SR, and what the command comes to once
 * no writer is late.
 */
interface Sample {
  readonly args?: readonly string[];
  /** As static-vdis sends it, with what vdi_generate_config gave and no session. */
  readonly frozen?: boolean;
  /**
   * The table does not say that it waits: either its handler does, where it comes to write, or it changes nothing of
   * the SR.
   */
  readonly beside?: 'its handler waits' | 'changes nothing';
  /** True: it works. Otherwise a number that shows that it came further than the late writer. */
  readonly after: true | number;
}

// Activating needs device-mapper, and an SR that is made a cluster, which this machine has not: they fail there (52,
// 141), and nowhere before. The order is that of the second round.
const SAMPLES: Readonly<Record<string, Sample>> = {
  sr_get_driver_info: { beside: 'changes nothing', after: true },
  sr_probe: { beside: 'changes nothing', after: true },
  vdi_attach: { args: ['true'], beside: 'changes nothing', after: true },
  vdi_detach: { beside: 'changes nothing', after: true },
  vdi_epoch_begin: { beside: 'changes nothing', after: true },
  vdi_epoch_end: { beside: 'changes nothing', after: true },
  vdi_generate_config: { beside: 'changes nothing', after: true },
  vdi_update: { beside: 'its handler waits', after: true },
  sr_attach: { after: true },
  sr_scan: { after: true },
  sr_update: { after: true },
  vdi_create: { args: [String(16 * MiB), 'another', ''], after: true },
  vdi_resize: { args: [String(32 * MiB)], after: true },
  vdi_snapshot: { after: true },
  vdi_clone: { after: true },
  vdi_activate: { args: ['true'], after: 52 },
  vdi_deactivate: { after: true },
  vdi_attach_from_config: { frozen: true, after: 52 },
  vdi_detach_from_config: { frozen: true, after: true },
  sr_create: { args: ['0'], after: 141 },
  sr_delete: { after: 39 },
  vdi_delete: { after: true },
  // This test has the device open.
  sr_detach: { after: 85 },
};

const WORKING = COMMAND_NAMES.filter((name) => findCommand(name)?.load !== undefined);

test('every command of the table that works has a request here, and what waits for nothing says why', () => {
  expect(Object.keys(SAMPLES).sort()).toEqual([...WORKING].sort());
  const waiting = WORKING.filter(
    (name) => findCommand(name)?.exclusive === true || findCommand(name)?.changes === true,
  );
  expect(
    Object.keys(SAMPLES)
      .filter((name) => SAMPLES[name]?.beside === undefined)
      .sort(),
  ).toEqual(waiting.sort());
});

test('beside a late writer no command and no function of the plug-in changes anything, and each works once its write has landed', async () => {
  await using pool = await loopPool();
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  const frozen = await vdiGenerateConfig(double, double.master.ref, vdi.ref);
  const host = { ...pool, frozen };
  await double.settled();
  const sr = stringOf(double.db.get('SR', srRef), 'uuid');
  const settings = join(pool.root(0), 'etc/rbdsr/rbdsr.conf');

  const late = await OtherHolder.of(join(pool.root(0), `var/run/rbdsr/late/${sr}.lock`), 'shared');
  appendFileSync(settings, 'deadline = 8\n');
  const before = stateOf(pool);
  const programs = await pool.programsOf(() =>
    inGroups([
      ...Object.entries(SAMPLES).map(([name, sample]) => async () => {
        const { code, text } = await sent(host, vdi, name, sample);
        if (sample.beside === 'changes nothing') expect({ name, code }).toEqual({ name, code: undefined });
        else
          expect({ name, code, text }).toEqual({ name, code: 37, text: expect.stringContaining(`pid ${late.pid} `) });
      }),
      ...[...PLUGIN_FUNCTIONS].map(([fn, { changes }]) => async () => {
        const answer = await asked(pool, vdi, fn);
        const busy = {
          failure: expect.arrayContaining([fn, 'lock-busy', expect.stringContaining(`pid ${late.pid} `)]),
        };
        expect({ fn, answer }).toEqual({ fn, answer: changes ? busy : { value: BESIDE[fn] } });
      }),
    ]),
  );
  expect(stateOf(pool)).toEqual(before);
  expect(programs.filter((name) => STORAGE_PROGRAMS.test(name))).toEqual([]);

  await late[Symbol.asyncDispose]();
  appendFileSync(settings, 'deadline = 60\n');
  for (const fn of PLUGIN_FUNCTIONS.keys())
    expect(tellsOfLateWriter(JSON.stringify(await asked(pool, vdi, fn)))).toBe(false);
  for (const [name, sample] of Object.entries(SAMPLES)) {
    const { code, text } = await sent(host, vdi, name, sample);
    expect({ name, code, text }).toEqual({
      name,
      code: sample.after === true ? undefined : sample.after,
      text: expect.any(String),
    });
  }
  expect(stateOf(pool)).not.toEqual(before);
}, 300_000);

/** What functions answer that wait for no late writer: the disk counts as open, and as one that is worked on. */
const BESIDE: Readonly<Record<string, string>> = { is_open: 'True', is_settled: 'False', is_collecting: 'True' };

const STORAGE_PROGRAMS = /^(lvm|lv[a-z]+|vg[a-z]+|pv[a-z]+|dmsetup|rbd|ceph|tap-ctl)$/;

/** Each has its own deadline to wait for: not one after the other, and not more at once than a small machine bears. */
async function inGroups(work: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...work];
  const one = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await next();
  };
  await Promise.all(Array.from({ length: 9 }, one));
}

/** The number of its fault, if it is one, and what it says. */
async function sent(
  pool: LoopPool & { readonly frozen: string },
  vdi: Row,
  command: string,
  { args = [], frozen = false }: Sample,
) {
  const { double, srRef } = pool;
  const { sr, ...config } = srCall(double, srRef, double.master.ref);
  const disk = { ref: vdi.ref, uuid: stringOf(vdi, 'uuid'), location: stringOf(vdi, 'uuid') };
  const session = openDriverSession(double.sessions, srRef);
  const own = command === 'vdi_create' ? {} : { vdi: disk };
  const asked = requestDocument({
    command,
    hostRef: double.master.ref,
    args,
    ...config,
    ...(sr === undefined ? {} : { sr }),
    ...own,
    session: session.ref,
  });
  const document = frozen ? pool.frozen.replaceAll('vdi_attach_from_config', command) : asked;
  const { stdout } = await double.hostPort.exec(stringOf(double.master, 'uuid'), '/opt/xensource/sm/RBDSR', document);
  double.sessions.delete(session.ref);
  const answer = decodeResponse(stdout);
  return 'fault' in answer ? { code: answer.fault.faultCode, text: answer.fault.faultString } : { text: stdout };
}

function asked({ double, srRef }: LoopPool, vdi: Row, fn: string): ReturnType<typeof callPlugin> {
  const args = {
    sr_uuid: stringOf(double.db.get('SR', srRef), 'uuid'),
    vdi_uuid: stringOf(vdi, 'uuid'),
    host_ref: double.master.ref,
  };
  return callPlugin(double, double.master.ref, 'rbdsr', fn, args);
}

/**
 * Everything that a command could change: the disk, xapi's records, and what the host keeps, but for locks, logs and
 * keys.
 */
function stateOf(pool: LoopPool): unknown {
  const { double, loop } = pool;
  const root = pool.root(0);
  const records = (Object.keys(SCHEMA) as ClassName[]).map((cls) =>
    double.db.all(cls).map(({ ref, fields }) => [ref, fields]),
  );
  const files = filesOfSr(root, '')
    .sort()
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]);
  return {
    disk: createHash('sha256').update(readFileSync(loop.file)).digest('hex'),
    records: structuredClone(records),
    files,
  };
}

/** Does not enter what does not count: the folder of a call that has been answered may go while somebody looks. */
function filesOfSr(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (NOT_THE_SR.test(path)) return [];
    if (entry.isDirectory()) return filesOfSr(root, path);
    return entry.isFile() ? [path] : [];
  });
}

const NOT_THE_SR = /^\/(var\/lock|var\/log|run|var\/run\/rbdsr\/late|etc\/rbdsr\/keys|etc\/rbdsr\/rbdsr\.conf)\b/;
