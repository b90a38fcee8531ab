import { existsSync, readdirSync } from 'node:fs';
import { expect } from 'vitest';
import type { ChangeEntry } from '../../../src/installer/changing/journal.ts';
import { fingerprint, type PathState, readState } from '../../../src/installer/changing/path-state.ts';
import { inUndoOrder } from '../../../src/installer/changing/undo-order.ts';
import { type HostFixture, isState } from './host-fixture.ts';

/** What a killed command is compared with. */
export interface Scene {
  /** Before RBDSR. */
  readonly stock: Paths;
  /** When the command began. */
  readonly began: Paths;
  readonly beganEntries: readonly ChangeEntry[];
  /** Enabled as a whole. */
  readonly enabled: Paths;
  readonly entries: readonly ChangeEntry[];
  /** What services hear when it is enabled, and when it is disabled. */
  readonly told: Readonly<Record<'enabled' | 'disabled', readonly string[]>>;
}

/** Every path but those of the record and of the test, with what is there. */
export type Paths = ReadonlyMap<string, string>;

const STATE = '/var/lib/rbdsr';
/** Of 0.1.0. */
const FORMER = '/opt/rbdsr/state';
export const CALLS = '/calls';

export function pathsOf(host: HostFixture): Paths {
  const isOther = (path: string): boolean => path !== CALLS && !isState(path);
  return new Map([...host.snapshot()].filter(([path]) => isOther(path)));
}

/** What services were told; not what they were asked. */
export function toldOf(host: HostFixture): readonly string[] {
  return host
    .read(CALLS)
    .split('\n')
    .slice(0, -1)
    .filter((call) => !call.includes(' is-active '));
}

type Look = (host: HostFixture, scene: Scene) => void;

const REPAIRING = { state: 'enabling', wasEnabled: true } as const;

/** What each `leaves` of a step looks like (src/base/steps.ts), by its id: nothing more and nothing less. */
export const leftBehind: Readonly<Record<string, Look>> = {
  enabling: run(({ began }) => ({ state: 'enabling', paths: began, entries: [] })),
  applied: run(({ enabled, entries }) => ({ state: 'enabling', paths: enabled, entries })),
  told: run(({ enabled, entries, told }) => ({ state: 'enabling', paths: enabled, entries, told: told.enabled })),
  repairing: run(({ began, beganEntries }) => ({ ...REPAIRING, paths: began, entries: beganEntries })),
  repaired: run(({ enabled, entries }) => ({ ...REPAIRING, paths: enabled, entries })),
  'repair-told': run(({ enabled, entries, told }) => ({ ...REPAIRING, paths: enabled, entries, told: told.enabled })),
  'rolled-back': run(({ began }) => ({ state: 'enabling', paths: began, entries: [], copies: 'any' })),
  disabling: run(({ began, entries }) => ({ state: 'disabling', paths: began, entries })),
  reverted: run(({ stock, entries }) => ({ state: 'disabling', paths: stock, entries: [], copies: entries })),
  cleared: run(({ stock }) => ({ state: 'disabling', paths: stock, entries: [] })),
  'told-back': run(({ stock, told }) => ({ state: 'disabling', paths: stock, entries: [], told: told.disabled })),
  'path-saved': (host, scene) => {
    expectPaths(host, scene, { unwritten: 0, strange: 0 });
    expect(copiesOf(host)).toEqual(filesFoundBy(scene.entries.slice(0, entriesOf(host).length + 1)));
  },
  'path-recorded': (host, scene) => {
    const entry = entriesOf(host).at(-1);
    // Where it is as it is wanted already, the record is all.
    const isSame = entry?.wrote.includes(fingerprint(entry.found)) === true;
    expectPaths(host, scene, { unwritten: isSame ? 0 : 1, strange: 0 });
    expect(entry === undefined ? 'none' : standing(host, entry)).not.toBe('written');
    expect(copiesOf(host)).toEqual(filesFoundBy(scene.entries.slice(0, entriesOf(host).length)));
  },
  'path-written': (host, scene) => {
    expect(entriesOf(host)).not.toEqual([]);
    expectPaths(host, scene, { unwritten: 0, strange: 0 });
    expect(copiesOf(host)).toEqual(filesFoundBy(scene.entries.slice(0, entriesOf(host).length)));
  },
  'staged-beside': (host, scene) => {
    expectPaths(host, scene, { unwritten: 1, strange: 1 });
    expect(strangers(host, scene)).toEqual([expect.stringMatching(/\/\.rbdsr-[0-9a-f]{16}$/)]);
  },
  'path-kept': (host, scene) => {
    expectPaths(host, scene, { unwritten: 0, strange: 0 });
    const has = (entry: ChangeEntry): boolean =>
      entriesOf(host).some(({ change, path }) => change === entry.change && path === entry.path);
    const wanted = new Set(scene.entries.map(({ path }) => path));
    const next = inUndoOrder(scene.beganEntries.filter(({ path }) => !wanted.has(path))).find(has);
    const state = next === undefined ? undefined : readState(host.at(next.path));
    expect(state?.kind).toMatch(/^(file|link|folder)$/);
    if (state?.kind === 'file') expect(copiesOf(host)).toContain(state.sha256);
  },
  'copies-over': (host, scene) => {
    expectRecord(host, scene, { here: false, there: true });
    expect(copiesOf(host)).toEqual(copiesOf(host, FORMER));
  },
  'record-over': (host, scene) => expectRecord(host, scene, { here: true, there: true }),
  'former-gone': (host, scene) => expectRecord(host, scene, { here: true, there: false }),
  'path-undone': (host, scene) => expectPaths(host, scene, { unwritten: 1, strange: 0 }),
  'path-dropped': (host, scene) => expectPaths(host, scene, { unwritten: 0, strange: 0 }),
};

/** Nothing of the host has changed; where there is a record, and that it says what it said. */
function expectRecord(host: HostFixture, scene: Scene, expected: { here: boolean; there: boolean }): void {
  expect(pathsOf(host)).toEqual(scene.began);
  const has = (folder: string): boolean => existsSync(host.at(`${folder}/changes.json`));
  expect({ here: has(STATE), there: has(FORMER) }).toEqual(expected);
  expect(entriesOf(host).map(nameOf)).toEqual(scene.beganEntries.map(nameOf));
  expect(copiesOf(host)).toEqual(filesFoundBy(scene.beganEntries));
}

interface Run {
  readonly state: string;
  readonly wasEnabled?: true;
  readonly paths: Paths;
  readonly entries: readonly ChangeEntry[];
  /** Of what these have found there are copies; of `entries` where it is not given. */
  readonly copies?: readonly ChangeEntry[] | 'any';
  readonly told?: readonly string[];
}

/** How a command as a whole stands. */
function run(expected: (scene: Scene) => Run): Look {
  return (host, scene) => {
    const { state, wasEnabled, paths, entries, copies = entries, told = [] } = expected(scene);
    const content = host.open().journal.content;
    expect(pathsOf(host)).toEqual(paths);
    expect([content?.state, content?.wasEnabled]).toEqual([state, wasEnabled]);
    expect(content?.entries.map(nameOf)).toEqual(entries.map(nameOf));
    if (copies !== 'any') expect(copiesOf(host)).toEqual(filesFoundBy(copies));
    expect(toldOf(host)).toEqual(told);
  };
}

function nameOf({ change, path }: ChangeEntry): string {
  return `${change} ${path}`;
}

function entriesOf(host: HostFixture): readonly ChangeEntry[] {
  return host.open().journal.entries;
}

/**
 * How one path after another is taken over or given back: `unwritten` paths with a record are as they were before
 * RBDSR, all others with one as RBDSR has written them; `strange` ones without a record are not as they were.
 */
function expectPaths(host: HostFixture, scene: Scene, expected: { unwritten: number; strange: number }): void {
  const last = new Map(entriesOf(host).map((entry) => [entry.path, entry]));
  const standings = [...last.values()].map((entry) => standing(host, entry));
  expect({
    unwritten: standings.filter((each) => each === 'unwritten').length,
    other: standings.filter((each) => each === 'other').length,
    strange: strangers(host, scene).length,
  }).toEqual({ ...expected, other: 0 });
}

function standing(host: HostFixture, { path, found, wrote }: ChangeEntry): 'unwritten' | 'written' | 'same' | 'other' {
  const print = fingerprint(readState(host.at(path)));
  const [isFound, isWritten] = [print === fingerprint(found), wrote.includes(print)];
  if (isFound && isWritten) return 'same';
  return isFound ? 'unwritten' : isWritten ? 'written' : 'other';
}

function strangers(host: HostFixture, { stock }: Scene): readonly string[] {
  const now = pathsOf(host);
  const recorded = new Set(entriesOf(host).map(({ path }) => path));
  return [...new Set([...now.keys(), ...stock.keys()])].filter(
    (path) => now.get(path) !== stock.get(path) && !recorded.has(path),
  );
}

function copiesOf(host: HostFixture, folder = STATE): ReadonlySet<string> {
  try {
    return new Set(readdirSync(host.at(`${folder}/saved`)));
  } catch {
    return new Set();
  }
}

function filesFoundBy(entries: readonly ChangeEntry[]): ReadonlySet<string> {
  return new Set(
    entries.flatMap(({ found }: { readonly found: PathState }) => (found.kind === 'file' ? found.sha256 : [])),
  );
}
