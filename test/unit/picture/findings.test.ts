import { expect, test } from 'vitest';
import { fsckText } from '../../../src/cli/picture/fsck-text.ts';
import { MiB } from '../../../src/base/units.ts';
import { CBT_LOG } from '../../../src/lvhd/names.ts';
import type { Disks } from '../../../src/picture/disks.ts';
import { srFindings } from '../../../src/picture/fsck/find-all.ts';
import type { SrFindingCode } from '../../../src/picture/fsck/finding.ts';
import type { Picture } from '../../../src/picture/picture.ts';
import {
  attached,
  childOf,
  disksOf,
  HOST_PART,
  HOSTILE,
  offline,
  recorded,
  SR,
  stored,
  usualSr,
  uuid,
  vhdNode,
  volume,
  xapiPart,
} from './sample.ts';

/** Two disks on a base copy, which are sound. */
const PARENT = vhdNode(1, { hidden: true });
const CHILD = childOf(1, 2);
const RECORDS = [stored(1, 'base copy', { managed: false }), stored(2, 'web')];
const SOUND = disksOf([PARENT, CHILD], RECORDS);

function withVolume(name: string, more: Partial<Disks> = {}): Picture {
  return offline({ ...SOUND, volumes: [...SOUND.volumes, volume(name)], ...more });
}

function withChild(more: Parameters<typeof childOf>[2]): Picture {
  return offline(disksOf([PARENT, childOf(1, 2, more)], RECORDS));
}

function deepChain(length: number): Picture {
  const nodes = Array.from({ length }, (_unused, at) =>
    at === 0 ? vhdNode(1, { hidden: true }) : childOf(at, at + 1, { hidden: at < length - 1 }),
  );
  return offline(
    disksOf(
      nodes,
      nodes.map((_node, at) => stored(at + 1, 'x', { managed: at === length - 1 })),
    ),
  );
}

const MARKS = [
  { ref: 'OpaqueRef:1', host: 'alpha', mode: 'RW' },
  { ref: 'OpaqueRef:2', host: 'beta', mode: 'RW' },
];
const XAPI = [recorded(1, 'base copy', { managed: false, readOnly: true }), recorded(2, 'web')];
const NO_RECORDS = offline(disksOf([PARENT, CHILD], []));

/** Of every code an SR of which nothing else is wrong. */
const WRONG: Readonly<Record<SrFindingCode, Picture>> = {
  'vg-partial': offline({ ...SOUND, vg: { ...SOUND.vg, partial: true } }),
  'image-cut': offline({
    ...SOUND,
    vg: { ...SOUND.vg, pvs: SOUND.vg.pvs.map((pv) => Object.assign({}, pv, { deviceSizeBytes: 512 * MiB })) },
  }),
  'disk-unreadable': withChild({ problem: { code: 'io', message: 'EIO at byte 0' } }),
  'vhd-damaged': withChild({
    findings: [{ severity: 'error', code: 'block-overlap', message: 'block 3 lies over 4' }],
  }),
  'footer-lost': withChild({ findings: [{ severity: 'error', code: 'end-footer', message: 'no footer' }] }),
  'volume-too-small': withChild({ lvSizeBytes: 8 * MiB }),
  'not-inflated': attached(disksOf([PARENT, childOf(1, 2, { lvSizeBytes: 16 * MiB })], RECORDS), {
    xapi: xapiPart([recorded(1, 'base copy', { managed: false }), recorded(2, 'web', { marks: MARKS.slice(0, 1) })]),
  }),
  'parent-missing': offline(disksOf([CHILD], RECORDS.slice(1))),
  'parent-other': withChild({ vhd: { ...(CHILD.vhd ?? never()), parentImage: 'image-99' } }),
  'parent-names-differ': withChild({
    vhd: { ...(CHILD.vhd ?? never()), parentNames: [`VHD-${uuid(1)}`, `VHD-${uuid(9)}`] },
  }),
  'parent-not-hidden': offline(disksOf([vhdNode(1), CHILD], RECORDS)),
  'parent-larger': withChild({ virtualSizeBytes: 20 * MiB }),
  'chain-loops': offline(disksOf([childOf(2, 1, { hidden: true }), childOf(1, 2, { hidden: true })], RECORDS)),
  'chain-too-deep': deepChain(30),
  journal: withVolume(`zero_${uuid(2)}_8388608`, {
    journals: [{ lvName: `zero_${uuid(2)}_8388608`, type: 'zero', vdi: uuid(2), value: '8388608' }],
  }),
  'journal-unreadable': withVolume('odd', {
    journals: [{ lvName: 'odd', problem: { code: 'journal', message: 'odd has no name of a journal' } }],
  }),
  'journal-unfinished': withVolume(`clone_${uuid(2)}_1`),
  'set-aside': offline(disksOf([PARENT, CHILD, vhdNode(2, { old: true, lvName: `VHD-OLD_${uuid(2)}` })], RECORDS)),
  'creation-unfinished': withVolume(`new_${uuid(5)}`),
  'log-without-disk': withVolume(`${uuid(5)}${CBT_LOG}`),
  stranger: withVolume('backup-of-friday'),
  'metadata-missing': offline(withoutMetadata()),
  'metadata-damaged': offline({
    ...SOUND,
    metadata: { vdis: RECORDS, problems: ['record 3 at byte 5120 is damaged'] },
  }),
  'metadata-of-another': offline({
    ...SOUND,
    metadata: {
      sr: { uuid: uuid(77), allocation: 'thin', nameLabel: '', nameDescription: '' },
      vdis: RECORDS,
      problems: [],
    },
  }),
  'record-without-volume': offline(disksOf([PARENT, CHILD], [...RECORDS, stored(3, 'lost')])),
  'volume-without-record': offline(disksOf([PARENT, CHILD], RECORDS.slice(0, 1))),
  'counted-inactive': attached(SOUND, {
    xapi: xapiPart(XAPI),
    host: { ...HOST_PART, counts: [{ uuid: uuid(2), normal: 0, binary: 1 }] },
  }),
  'active-uncounted': attached(disksOf([PARENT, childOf(1, 2, { active: true })], RECORDS), { xapi: xapiPart(XAPI) }),
  'count-damaged': attached(SOUND, {
    xapi: xapiPart(XAPI),
    host: { ...HOST_PART, counts: [{ uuid: uuid(2), normal: 0, binary: 0, problem: 'the count is noise' }] },
  }),
  'mapped-twice': attached(SOUND, {
    xapi: xapiPart(XAPI),
    host: { ...HOST_PART, mappings: [...HOST_PART.mappings, ...HOST_PART.mappings] },
  }),
  'xapi-without-volume': attached(SOUND, { xapi: xapiPart([...XAPI, recorded(3, 'lost')]) }),
  'volume-without-xapi': attached(SOUND, { xapi: xapiPart(XAPI.slice(0, 1)) }),
  'xapi-differs': attached(SOUND, { xapi: xapiPart([...XAPI.slice(0, 1), recorded(2, 'web', { virtualBytes: MiB })]) }),
  'two-writers': attached(SOUND, { xapi: xapiPart([...XAPI.slice(0, 1), recorded(2, 'web', { marks: MARKS })]) }),
};

function never(): never {
  throw new Error('the sample is a VHD');
}

function withoutMetadata(): Disks {
  const { metadata: _none, ...rest } = SOUND;
  return rest;
}

test.each(Object.entries(WRONG))('%s is found, and nothing else', (code, picture) => {
  expect(new Set(srFindings(picture).map((finding) => finding.code))).toEqual(new Set([code]));
});

test('every finding, as it is printed', async () => {
  const text = Object.values(WRONG)
    .flatMap((picture) => fsckText(picture, srFindings(picture)).split('\n').slice(3, -3))
    .join('\n');
  await expect(text).toMatchFileSnapshot('__snapshots__/findings.txt');
});

test('nothing is wrong with a sound SR, wherever it is looked at from', () => {
  const { xapi: _down, ...alone } = usualSr();
  const pictures = [offline(SOUND), attached(SOUND, { xapi: xapiPart(XAPI) }), usualSr(), alone, deepChain(29)];
  for (const picture of pictures) expect(srFindings(picture)).toEqual([]);
});

test('a disk in use has no footer at its end, and nobody knows who uses one while xapi is down', () => {
  const damaged = { findings: [{ severity: 'error', code: 'end-footer', message: 'no footer' }] } as const;
  const disks = disksOf([PARENT, childOf(1, 2, damaged)], RECORDS);
  expect(srFindings(attached(disks))).toEqual([]);
  expect(srFindings(attached(disks, { xapi: xapiPart(XAPI) })).map(({ code }) => code)).toEqual(['footer-lost']);
  const used = [...XAPI.slice(0, 1), recorded(2, 'web', { marks: MARKS.slice(0, 1) })];
  expect(srFindings(attached(disks, { xapi: xapiPart(used) })).map(({ code }) => code)).toEqual([]);
});

test('beside a journal nothing is mended by hand, and nothing is called lost', () => {
  const picture = withVolume(`leaf_${uuid(2)}_1`, {
    journals: [{ lvName: `leaf_${uuid(2)}_1`, type: 'leaf', vdi: uuid(2), value: uuid(1) }],
    metadata: { ...(NO_RECORDS.disks?.metadata ?? { problems: [] }), vdis: [...RECORDS, stored(3, 'renamed')] },
  });
  const [journal, record] = srFindings(picture);
  expect(journal).toMatchObject({ code: 'journal', severity: 'warning' });
  expect(record).toMatchObject({
    code: 'record-without-volume',
    means: expect.stringContaining('other names'),
    todo: expect.stringMatching(/^Nothing, before the interrupted operation/),
  });
});

test('an operation that this release undoes is a warning, with the command that has it undone', () => {
  const lvName = `inflate_${uuid(2)}_8388608`;
  const picture = withVolume(lvName, { journals: [{ lvName, type: 'inflate', vdi: uuid(2), value: '8388608' }] });
  expect(srFindings(picture)).toMatchObject([
    { code: 'journal', severity: 'warning', name: 'web', todo: expect.stringContaining(`xe sr-scan uuid=${SR}`) },
  ]);
});

test('a hostile name is text in a finding, too', () => {
  const picture = offline(disksOf([PARENT, CHILD], [...RECORDS, stored(3, HOSTILE)]));
  const text = fsckText(picture, srFindings(picture));
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  expect(text).toContain('evil\\x1b[2J');
});
