import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { JOURNAL_TAG } from '../../../src/lvhd/names.ts';
import { srFindings } from '../../../src/picture/fsck/find-all.ts';
import type { SrFinding } from '../../../src/picture/fsck/finding.ts';
import { disksOf } from '../../../src/picture/gather/disks-of.ts';
import { openSr, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { STOCK_ARCHIVES, useArchive } from '../../support/stock-archives.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { offline } from '../../unit/picture/sample.ts';
import { hostWithStockSr, xapiOfStockSr } from '../lvhd/stock-sr-host.ts';

const plugin = usePlugin();

async function fsckOf(device: string, sr: string): Promise<readonly SrFinding[]> {
  const disks = await disksOf('/nowhere', { device }, Deadline.after(600_000));
  return srFindings({ ...offline(disks), sr });
}

function briefly({ severity, code, where }: SrFinding): string {
  return `${severity} ${code} ${where}`;
}

/** What a killed driver left has a journal, or is one step from being done. */
const UNNOTED: Readonly<Record<string, readonly string[]>> = {
  'clone-after-remove-clone-journal': ['volume-without-record', 'volume-without-record'],
  'leaf-before-delete': ['set-aside'],
};

/**
 * Beside its journal. Of a clone: the new base copy is not hidden yet, the volume of a leaf is empty yet, or nobody has
 * recorded the new ones; of a merge: the leaf has another name, or the volume ends in what lay there before.
 */
const BESIDE_JOURNAL: readonly string[] = [
  'parent-not-hidden',
  'vhd-damaged',
  'volume-without-record',
  'record-without-volume',
  'set-aside',
  'footer-lost',
];

describe.each(STOCK_ARCHIVES)('the stock SRs of %s', (archive) => {
  const images = Object.entries(vectorImages(archive));
  const path = useArchive(archive);

  it.each(images)('%s', async (name, { file, sr, state }) => {
    const findings = await fsckOf(path(file), sr);
    const journals = Object.keys(state.journals).toSorted();
    const told = findings.filter(({ code }) => code === 'journal').map(({ where }) => where);
    expect(told.toSorted()).toEqual(journals);
    const rest = findings.map(({ code }) => code).filter((code) => code !== 'journal');
    if (journals.length === 0) expect(rest).toEqual(UNNOTED[name] ?? []);
    else expect(rest.filter((code) => !BESIDE_JOURNAL.includes(code))).toEqual([]);
    expect(
      findings
        .filter(({ code }) => code !== 'journal')
        .every(({ todo }) => journals.length === 0 || todo.startsWith('Nothing, before')),
    ).toBe(true);
  });
});

test('a volume that ends in the footer of another disk is told as what it is', async () => {
  const { file, sr } = vectorImages('stale-footer')['coalesce-after-setSize'] ?? { file: '', sr: '' };
  using archive = unpackVectors('stale-footer', [file]);
  const damage = (await fsckOf(join(archive.folder, file), sr)).find(({ code }) => code === 'vhd-damaged');
  expect(damage?.what).toContain('the one at the end belongs to another image');
});

test('an SR on which everything was done by hand that should not be', async () => {
  const { file, sr, state, vdis } = vectorImages('interrupted-clone')['pre-clone'] ?? never();
  using archive = unpackVectors('interrupted-clone', [file]);
  const image = join(archive.folder, file);
  const nodes = Object.values(state.vdis);
  const base = nodes.find(({ hidden }) => hidden)?.lv ?? '';
  const raw = nodes.find(({ type }) => type === 'raw')?.lv ?? '';
  const loose = '0a1b2c3d-0000-4000-8000-000000000009';
  {
    await using open = await openSr(image, sr);
    await open.lvm.renameLv(base, 'set-aside-by-hand');
    await open.lvm.removeLv(raw);
    await open.lvm.createLv(`new_${loose}`, 4 * MiB);
    await open.lvm.createLv(`clone_${loose}_1`, 4 * MiB);
    await open.lvm.createLv(`${loose}.cbtlog`, 4 * MiB);
  }
  const found = await fsckOf(image, sr);
  expect(found.map(briefly).toSorted()).toEqual(
    [
      `error parent-missing VHD-${vdis['x']}`,
      `error parent-missing VHD-${vdis['x-snap']}`,
      'warning record-without-volume MGT',
      'warning record-without-volume MGT',
      'warning stranger set-aside-by-hand',
      `warning creation-unfinished new_${loose}`,
      `warning journal-unfinished clone_${loose}_1`,
      `warning log-without-disk ${loose}.cbtlog`,
    ].toSorted(),
  );

  {
    await using open = await openSr(image, sr);
    await open.lvm.renameLv('set-aside-by-hand', base);
    await open.lvm.addTag(`clone_${loose}_1`, JOURNAL_TAG);
    const mgt = await open.openLv('MGT', 'write');
    await mgt.write(512, Buffer.alloc(512, 0xa5));
    // The first block of the table says that its data lie on the header.
    const child = await open.openLv(`VHD-${vdis['x']}`, 'write');
    await child.write(1536, Buffer.concat([Buffer.from([0, 0, 0, 1]), await child.read(1540, 508)]));
  }
  const worse = await fsckOf(image, sr);
  expect(worse.map(briefly)).toEqual(
    expect.arrayContaining([
      `warning journal clone_${loose}_1`,
      'error metadata-damaged MGT',
      `error vhd-damaged VHD-${vdis['x']}`,
    ]),
  );
  expect(worse.find(({ code }) => code === 'journal')?.what).toContain('what it notes down cannot be read');
});

test('an attached SR: xapi, the counts of this host and the image do not agree', async () => {
  const { root, sr, state } = await hostWithStockSr(plugin.host('8.3b'), 'plain', 'plain-thick');
  const { double, row, host } = await xapiOfStockSr(root, sr);
  const [first, second, ...rest] = state.mgt.vdis.map(({ uuid }) => String(uuid));
  const lost = '0a1b2c3d-0000-4000-8000-000000000008';
  for (const uuid of [...rest, lost]) {
    const size = Object.values(state.vdis).find(({ lv }) => lv.endsWith(uuid));
    double.db.create('VDI', {
      uuid,
      SR: row.ref,
      name_label: uuid === lost ? 'txt.\u202Eexe' : 'a',
      managed: true,
      virtual_size: String(virtualBytes(size)),
      sm_config: uuid === lost ? { [`host_${host}`]: 'RW', 'host_OpaqueRef:other': 'RW' } : {},
    });
  }
  const counts = join(root, `var/run/sm/refcount/lvm-${sr}`);
  mkdirSync(counts, { recursive: true });
  writeFileSync(join(counts, first ?? ''), '0 1\n');
  writeFileSync(join(counts, second ?? ''), 'noise');
  const { code, stdout, stderr } = await plugin.run(root, ['fsck', sr], 'cli');
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  const told = [...stdout.matchAll(/^(?:error|warning): .*\((\S+)\)$/gm)].map(([, found = '']) => found).toSorted();
  expect(told).toEqual(
    [
      'count-damaged',
      'counted-inactive',
      'two-writers',
      'volume-without-xapi',
      'volume-without-xapi',
      'xapi-without-volume',
    ].toSorted(),
  );
  expect(stdout).toContain('"txt.\\u{202e}exe"');
  const json = await plugin.run(root, ['fsck', sr, '--json'], 'cli');
  expect(json.stdout).toContain('txt.\\u202eexe');
  const { findings, picture } = JSON.parse(json.stdout) as { findings: SrFinding[]; picture: { sr: string } };
  expect(findings.map((finding) => finding.code).toSorted()).toEqual(told);
  expect(picture.sr).toBe(sr);
});

test('exit codes: 0 for a sound copy, 1 for findings, and not a word on stderr', async () => {
  using plain = unpackVectors('plain', ['plain-thin.img']);
  const sound = await plugin.run('/nowhere', ['fsck', '--device', join(plain.folder, 'plain-thin.img')], 'cli');
  expect(sound).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/: nothing is wrong\.\n$/) });
  using cut = unpackVectors('interrupted-leaf', ['leaf-both-renamed.img']);
  const found = await plugin.run('/nowhere', ['fsck', '--device', join(cut.folder, 'leaf-both-renamed.img')], 'cli');
  expect(found).toMatchObject({ code: 1, stderr: '', stdout: expect.stringMatching(/: 0 errors, 3 warnings\.\n$/) });
});

function virtualBytes(node: { readonly query?: unknown; readonly lv_size: number } | undefined): number {
  const [megabytes] = Array.isArray(node?.query) ? (node.query as readonly string[]) : [];
  return megabytes === undefined ? (node?.lv_size ?? 0) : Number(megabytes) * MiB;
}

function never(): never {
  throw new Error('there is no such vector');
}
