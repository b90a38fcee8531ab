// Stands in for `rbd` and `ceph` of one version (recorded-ceph.ts). argv: its folder, the program's name, then the
// program's own arguments.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';

const [folder, program, ...words] = process.argv.slice(2);
// Which cluster, as whom, and for how long.
for (const option of ['--conf', '--name', '--connect-timeout']) {
  const at = words.indexOf(option);
  if (at >= 0) words.splice(at, 2);
}
const call = [program, ...words].join(' ');
const { calls, meanwhile } = JSON.parse(readFileSync(`${folder}/settings.json`, 'utf8'));
const before = readFileSync(`${folder}/calls`, 'utf8').split('\n').length - 1;
const state = meanwhile[before] ?? readFileSync(`${folder}/state`, 'utf8');
const found = calls.find((row) => row.state === state && row.argv === call);
appendFileSync(`${folder}/calls`, found === undefined ? `UNRECORDED when ${state}: ${call}\n` : `${call}\n`);
writeFileSync(`${folder}/state`, found?.becomes ?? state);
process.stderr.write(found?.stderr ?? `nothing was recorded of it when ${state}: ${call}\n`);
process.stdout.write(found?.stdout ?? '');
process.exitCode = found?.exit ?? 99;
