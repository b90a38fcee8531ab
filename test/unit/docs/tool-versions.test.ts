import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UNITS } from '../../../src/installer/changes/systemd-units.ts';
import { programCalls, programPaths, shellCalls } from './program-calls.ts';

/**
 * docs/tool-versions.md has a row for every call of a program outside, and in every cell a source, or says that nothing
 * is known.
 */
const ROOT = join(import.meta.dirname, '../../..');
const DOCUMENT = readFileSync(join(ROOT, 'docs/tool-versions.md'), 'utf8');

const sources = filesBelow('src', '.ts');
const paths = new Map(sources.flatMap(({ text }) => programPaths(text)));
const scripts = [...filesBelow('packaging', '.sh'), ...filesBelow('src', '.sh'), ...filesBelow('packaging', '.spec')];

function filesBelow(folder: string, ending: string): { readonly file: string; readonly text: string }[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ file: `${folder}/${name}`, text: readFileSync(join(ROOT, folder, name), 'utf8') }));
}

interface Row {
  readonly section: string;
  /** `lvm pvs`, `rule: nompath`. */
  readonly names: readonly string[];
  /** Of versions, without the first and the last column. */
  readonly cells: readonly string[];
}

/** The rows that begin with something in backticks. */
function rowsOf(document: string): readonly Row[] {
  return document.split(/^## /m).flatMap((part) => {
    const section = part.slice(0, part.indexOf('\n'));
    return part.split('\n').flatMap((line) => {
      const [, kind = '', first = '', rest = ''] = /^\| (\w+: )?(`[^|]*) \| (.*) \|$/.exec(line) ?? [];
      const names = [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => `${kind}${name}`);
      return names.length === 0 ? [] : [{ section, names, cells: rest.split(' | ').slice(0, -1) }];
    });
  });
}

function differences(made: ReadonlySet<string>, rows: readonly Row[]): { withoutRow: string[]; withoutCall: string[] } {
  const documented = rows.flatMap(({ names }) => names).filter((name) => !/^\w+: /.test(name));
  return {
    withoutRow: [...made].filter((call) => !documented.includes(call)).toSorted(),
    withoutCall: documented.filter((name) => !made.has(name)),
  };
}

/** Cells that name none of the sources above their table and do not say that nothing is known. */
function unfounded(document: string): readonly string[] {
  const known = new Map(
    document.split(/^## /m).map((part) => {
      const head = part.slice(0, part.indexOf('\n|'));
      return [part.slice(0, part.indexOf('\n')), [...head.matchAll(/\*\*(\w+)\*\*/g)].map(([, name]) => name)];
    }),
  );
  return rowsOf(document).flatMap(({ section, names, cells }) =>
    cells
      .filter((cell) => {
        const cited = [...cell.matchAll(/\[(\w+)\](?!\()/g)].map(([, name]) => name);
        const isKnown = cited.length > 0 && cited.every((name) => known.get(section)?.includes(name) === true);
        return !isKnown && !(cited.length === 0 && cell.startsWith('*not known*'));
      })
      .map((cell) => `${section}, ${names.join(', ')}: ${cell}`),
  );
}

const made = new Set([
  ...sources.flatMap(({ file, text }) => programCalls(file, text, paths).calls),
  ...scripts.flatMap(({ text }) => shellCalls(text)),
]);

test('every call of a program has a row, and every row a call', () => {
  expect(differences(made, rowsOf(DOCUMENT))).toEqual({ withoutRow: [], withoutCall: [] });
});

test('every cell has a source, or says that nothing is known', () => {
  expect(unfounded(DOCUMENT)).toEqual([]);
});

test('what is run that somebody else has named is run in these places alone', () => {
  const told = sources.flatMap(({ file, text }) =>
    programCalls(file, text, paths).told.map((name) => `${file}: ${name}`),
  );
  expect(told.toSorted()).toEqual([
    'src/ceph/control/ssh/monitor-host-tools.ts: #rbdFailure: #run',
    'src/ceph/control/ssh/monitor-host-tools.ts: ceph: #run',
    'src/ceph/control/ssh/monitor-host-tools.ts: rbd: #run',
    'src/ceph/control/ssh/monitor-host-tools.ts: rbdRange: #run',
    'src/ceph/control/ssh/monitor-host.ts: explaining: ceph',
    'src/ceph/control/ssh/monitor-host.ts: explaining: rbd',
    'src/ceph/control/tools/ceph-tool-runner.ts: #run: runProgram',
    'src/ceph/control/tools/ceph-tool-runner.ts: ceph: #run',
    'src/ceph/control/tools/ceph-tool-runner.ts: rbd: #run',
    'src/datapath/tapdisk/tap-ctl.ts: #run: runProgram',
    'src/installer/changes/stock-proof.ts: stockProblem: host.run',
    'src/installer/changing/change.ts: filesChange: host.run',
    'src/installer/host.ts: openHost: runProgram',
    'src/lvm/_command.ts: serialised: runProgram',
    'src/lvm/_read-report.ts: askFor: lvmCommand',
    'src/lvm/lvm.ts: #change: #changing',
    'src/lvm/lvm.ts: #changing: lvmCommand',
    'src/lvm/lvm.ts: #locally: lvmCommand',
    'src/lvm/lvm.ts: #persistently: #locally',
    'src/lvm/lvm.ts: #persistently: lvmCommand',
    'src/system/run.ts: runChecked: runProgram',
  ]);
  const spawning = sources.filter(({ text }) => /from 'node:child_process'/.test(text)).map(({ file }) => file);
  // All but the last start RBDSR itself.
  expect(spawning.toSorted()).toEqual([
    'src/datapath/nbd/nbd-start.ts',
    'src/gc/stock-lock.ts',
    'src/sr/work/wake-collector.ts',
    'src/system/process-apart.ts',
    'src/system/run.ts',
  ]);
});

test("the lines of ours that rows name are there, and none of the rule's and the package's is without a row", () => {
  const kind = (name: string): string[] =>
    rowsOf(DOCUMENT).flatMap(({ names }) =>
      names.filter((text) => text.startsWith(`${name}: `)).map((text) => text.slice(name.length + 2)),
    );
  const rule = sources.find(({ file }) => file.endsWith('/udev-rule.ts'))?.text ?? '';
  const assigned = [...rule.matchAll(/(?:ENV\{(\w+)\}="|(OPTIONS:="\w+"))/g)].map(([, name, option]) => name ?? option);
  expect(new Set(kind('rule'))).toEqual(new Set(assigned));
  const spec = scripts.find(({ file }) => file.endsWith('.spec'))?.text ?? '';
  const sections = [...spec.matchAll(/^(%(?:pre|post|trigger)\w*)/gm)].map(([, name]) => name);
  expect(new Set(kind('section'))).toEqual(new Set(sections));
  const units = UNITS.map(({ text }) => text).join('');
  expect(kind('unit').filter((name) => !units.includes(`\n${name}=`))).toEqual([]);
});

test('a call is found however it is written, and one without a row is told', () => {
  const text = [
    "await runProgram('dmsetup', ['info', '-c', name], { deadline });",
    "await host.run('/sbin/ip', ['link', 'show', device], deadline);",
    "await this.#changing('vgextend', ['-f', this.vg]);",
    "const args = ['auth', 'rotate', entity];\nawait tools.ceph(args, deadline);",
    "await tools.rbd(['snap', 'ls', '--format', 'json'], spec, deadline);",
    "const first = ['open', '-p'];\nawait this.#run(writable ? first : [...first, '-R']);",
    "const settle = { apply: [['/usr/bin/systemctl', 'mask', '--now', 'x.service']] };",
    "await host.run(TUNE, ['-l', device], deadline);",
    'await runProgram(program, words, { deadline });',
  ].join('\n');
  const { calls, told } = programCalls('x.ts', text, new Map(programPaths("export const TUNE = '/sbin/tune2fs';")));
  const found = ['dmsetup info', 'ip link show', 'lvm vgextend', 'ceph auth rotate', 'rbd snap ls', 'tap-ctl open'];
  expect(calls).toEqual([...found, 'systemctl mask', 'tune2fs -l']);
  expect(told).toEqual(['the module: runProgram']);
  expect(shellCalls('if rpm -V x; then die "use rpm -U y"; fi\nsystemctl stop x\n')).toEqual([
    'rpm -V',
    'systemctl stop',
  ]);
  expect(differences(new Set([...made, 'lvm vgextend']), rowsOf(DOCUMENT)).withoutRow).toEqual(['lvm vgextend']);
  const more = DOCUMENT.replace('| `lvm lvs` |', '| `lvm vgs` | as written | [T84] |\n| `lvm lvs` |');
  expect(differences(made, rowsOf(more)).withoutCall).toEqual(['lvm vgs']);
  expect(unfounded(more)).toEqual(['LVM, lvm vgs: as written']);
});
