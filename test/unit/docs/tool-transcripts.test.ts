import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemdTranscript } from '../../../lab/hosts/recorded-systemd.ts';
import { dmsetupTranscript } from '../../support/stand-ins/recorded-dmsetup.ts';
import { cephCallKey, cephCalls, cephTranscript } from '../../support/stand-ins/recorded-ceph.ts';

/**
 * Stand-ins of tap-ctl, systemctl, udevadm, dmsetup, rbd and ceph answer by test/fixtures/tap-ctl, systemd, dmsetup and
 * ceph-tools: each call of docs/tool-versions.md has its rows there.
 */
const ROOT = join(import.meta.dirname, '../../..');
const DOCUMENT = readFileSync(join(ROOT, 'docs/tool-versions.md'), 'utf8');

interface Transcript {
  readonly version: string;
  readonly like?: string;
  readonly how: string;
  readonly calls: readonly {
    readonly state: string;
    readonly argv: string;
    readonly exit: number | null;
    readonly becomes?: string;
    readonly source?: string;
  }[];
}

const transcripts = readdirSync(join(ROOT, 'test/fixtures/tap-ctl')).map(
  (file) => JSON.parse(readFileSync(join(ROOT, 'test/fixtures/tap-ctl', file), 'utf8')) as Transcript,
);
const recorded = transcripts.filter(({ like }) => like === undefined);
const read = transcripts.filter(({ like }) => like !== undefined);

test('each call of tap-ctl was recorded, succeeding and refused, and no other was', () => {
  const documented = [...DOCUMENT.matchAll(/^\| `tap-ctl (\w+)` \|/gm)].map(([, name]) => name);
  expect(recorded.map(({ version }) => version)).toEqual(['4.0.8']);
  for (const { calls } of recorded) {
    const verbs = (wanted: (exit: number | null) => boolean): Set<string> =>
      new Set(calls.filter(({ exit }) => wanted(exit)).map(({ argv }) => argv.split(' ')[0] ?? ''));
    expect(verbs((exit) => exit === 0)).toEqual(new Set(documented));
    expect(verbs((exit) => exit !== 0)).toEqual(new Set(documented));
  }
});

test('a state to which a call leads has rows of its own, and no call has two', () => {
  for (const { calls } of recorded) {
    const states = new Set(calls.map(({ state }) => state));
    expect(calls.map(({ becomes }) => becomes ?? 'nothing').filter((state) => !states.has(state))).toEqual([]);
    const keys = calls.map(({ state, argv }) => `${state}: ${argv}`);
    expect(keys.toSorted()).toEqual([...new Set(keys)].toSorted());
  }
});

test('what was read of a version that was not run has a source in every row, and is about calls that were recorded', () => {
  const known = new Set(recorded.flatMap(({ calls }) => calls.map(({ state, argv }) => `${state}: ${argv}`)));
  expect(read.map(({ version }) => version).toSorted()).toEqual(['3.30.0', '3.37.4', '3.55.5']);
  for (const { how, like, calls } of read) {
    expect(how).toMatch(/^read, not run: /);
    expect(transcripts.map(({ version }) => version)).toContain(like);
    expect(calls.filter(({ source }) => (source ?? '') === '')).toEqual([]);
    expect(calls.map(({ state, argv }) => `${state}: ${argv}`).filter((key) => !known.has(key))).toEqual([]);
  }
});

test('each call of systemctl and udevadm was recorded, and what was read has its source', () => {
  const documented = [...DOCUMENT.matchAll(/^\| `((?:systemctl|udevadm) [\w-]+)` \|/gm)].map(([, name]) => name);
  const { version, calls } = systemdTranscript('252');
  expect(version).toBe('252');
  expect(new Set(calls.map(({ argv }) => argv.split(' ').slice(0, 2).join(' ')))).toEqual(new Set(documented));
  const older = systemdTranscript('219');
  expect(older.how).toMatch(/^read, not run: /);
  expect(older.calls.filter(({ source }) => (source ?? '') === '')).toEqual([]);
});

test('each call of dmsetup was recorded, of a device that is not there, there, and open', () => {
  const documented = [...DOCUMENT.matchAll(/^\| `dmsetup (\w+)` \|/gm)].map(([, name = '']) => name);
  const { calls } = dmsetupTranscript();
  const verbs = (wanted: string) =>
    new Set(calls.filter(({ state }) => state === wanted).map(({ argv }) => argv.split(' ')[0]));
  for (const wanted of ['none', 'free']) expect(verbs(wanted)).toEqual(new Set(documented));
  expect(verbs('open')).toEqual(new Set(['info', 'remove']));
});

test('each call of rbd and ceph was recorded, and what was read of other versions has its source', () => {
  const documented = [...DOCUMENT.matchAll(/^\| `((?:rbd|ceph) [^`]+)` \|/gm)].map(([, name = '']) => name);
  const { calls } = cephTranscript('16.2.15');
  const isOf = (name: string, argv: string): boolean => `${argv} `.startsWith(`${name} `);
  // What that prints are the bytes of an image.
  const unrecorded = documented.filter((name) => !calls.some(({ argv }) => isOf(name, argv)));
  expect(unrecorded).toEqual(['rbd export']);
  expect(calls.filter(({ argv }) => !documented.some((name) => isOf(name, argv)))).toEqual([]);
  for (const version of ['10', '19.2.6']) {
    const other = cephTranscript(version);
    expect([other.version, other.like]).toEqual([version, '16.2.15']);
    expect(other.how).toMatch(/^read, not run: /);
    expect(other.calls.filter(({ source }) => (source ?? '') === '')).toEqual([]);
    const keys = cephCalls(version).map(cephCallKey);
    expect(keys.toSorted()).toEqual([...new Set(keys)].toSorted());
    const states = new Set(cephCalls(version).map(({ state }) => state));
    expect(cephCalls(version).filter(({ becomes }) => becomes !== undefined && !states.has(becomes))).toEqual([]);
  }
});
