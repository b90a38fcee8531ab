import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TRANSCRIPTS } from '../../support/lvm-stand-in.ts';
import { unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { VERSIONS } from './lvm-versions.ts';
import { askAsCollector, COLLECTOR_ASKS, type CollectorCall, DEVTYPES, REJECT_RBD } from './stock-collector.ts';
import { LV, VG } from './transcript-script.ts';

/**
 * Why a stock collector that is told to run on a diverted SR does not get at its volumes
 * (docs/decisions/0017-late-writers.md): what each version of LVM answers it, with a host's lvm.conf and no
 * configuration of ours. test/fixtures/lvm/collector/<version>.json, written by that version (stock-collector.ts).
 */
const { file = '' } = vectorImages('plain')['plain-thick'] ?? {};

const transcript = (version: string): { readonly version: string; readonly calls: readonly CollectorCall[] } =>
  JSON.parse(readFileSync(`${TRANSCRIPTS}/collector/${version}.json`, 'utf8'));

const isCollectors = ({ argv }: CollectorCall): boolean => argv === COLLECTOR_ASKS.join(' ');
const isDevtypes = ({ argv }: CollectorCall): boolean => argv === DEVTYPES.join(' ');
const onRbd = ({ driver }: CollectorCall): boolean => driver === 'rbd';
const sees = ({ exit, stdout }: CollectorCall): boolean => exit === 0 && stdout.includes(` ${LV} `);
/** sm takes any exit code but 0 for a failure, and a collector's scan ends there (`lvutil.cmd_lvm`, `util.pread2`). */
const failsOnTheGroup = ({ exit, stdout, stderr }: CollectorCall): boolean =>
  exit === 5 && stdout === '' && stderr.includes(`Volume group "${VG}" not found`);

describe.each(VERSIONS)('LVM $version ($hosts)', ({ version, knowsRbd }) => {
  const { calls } = transcript(version);
  const [plain, filtered, typed, both] = calls.filter(isCollectors).filter(onRbd);
  if (plain === undefined || filtered === undefined || typed === undefined || both === undefined)
    throw new Error(`the transcript of ${version} is incomplete`);

  test('a collector sees the SR on an RBD device where LVM knows the driver, and nothing otherwise', () => {
    expect([plain.types, plain.filter]).toEqual([undefined, undefined]);
    expect(sees(plain)).toBe(knowsRbd);
    expect(failsOnTheGroup(plain)).toBe(!knowsRbd);
  });

  test('it is the list of drivers that decides', () => {
    const lists = calls.filter(isDevtypes).filter(({ exit }) => exit === 0);
    // 2.02.84 has no such command.
    expect(lists).toHaveLength(version === '2.02.84' ? 0 : 5);
    const names = lists.map(({ stdout }) => stdout.split(/\s+/).includes('rbd'));
    expect(names).toEqual(lists.map(() => knowsRbd));
    // The same disk is seen under a driver that every version knows, and under rbd where lvm.conf adds it.
    expect(
      calls
        .filter(isCollectors)
        .filter((call) => call.driver === 'sd')
        .map(sees),
    ).toEqual([true]);
    expect([typed.types, sees(typed)]).toEqual([true, true]);
  });

  test('the filter that docs/operating.md names keeps it out, whatever lvm.conf adds', () => {
    expect([filtered, both].map(({ filter }) => filter)).toEqual([REJECT_RBD, REJECT_RBD]);
    expect([filtered, both].map(failsOnTheGroup)).toEqual([true, true]);
    expect(readFileSync(`${import.meta.dirname}/../../../docs/operating.md`, 'utf8')).toContain(`\`${REJECT_RBD}\``);
  });
});

test('no version that XenServer or XCP-ng ships sees it', () => {
  const shipped = VERSIONS.filter(({ hosts }) => /^(XenServer|XCP-ng)/.test(hosts));
  expect(shipped.map(({ version }) => version)).toEqual(['2.02.84', '2.02.130-xs7', '2.02.177-xs8.0', '2.02.180-xs8']);
  for (const { version } of shipped) {
    const asked = transcript(version).calls.filter(isCollectors).filter(onRbd);
    expect({ version, sees: asked.filter(({ types }) => types !== true).some(sees) }).toEqual({ version, sees: false });
  }
});

test('this machine’s own LVM still answers as it was recorded to', () => {
  const text = execFileSync('lvm', ['version', '--driverloaded', 'n'], { encoding: 'utf8', stdio: 'pipe' });
  const [, found = ''] = /LVM version: +([0-9.]+)/.exec(text) ?? [];
  using vectors = unpackVectors('plain', [file]);
  expect(askAsCollector({ program: 'lvm' }, join(vectors.folder, file))).toEqual(transcript(found).calls);
});
