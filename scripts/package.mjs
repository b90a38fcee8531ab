// `npm run package [-- --only=run] [FOLDER]`: what is published, into dist or FOLDER: a self-extracting file, an RPM
// and the source package it can be made of again, the licences of everything inside, and SHA256SUMS. The same commit
// gives the same bytes on every machine with the same Debian packages. `--only=run`: the first alone. No file that is
// published: `--only=product`, FOLDER with what we wrote of it, as a host has it; `--only=tree`, all the RPM holds.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, lutimesSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { lstatSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { tarGzip } from './package/archive.mjs';
import { licencesText, partsOf } from './package/licences.mjs';
import { releaseNumber } from './package/release.mjs';
import { writeRpm } from './package/rpm.mjs';
import { prepareRuntime } from './package/runtime.mjs';
import { writeSelfExtractor } from './package/self-extractor.mjs';
import { writeSources } from './package/sources.mjs';
import { specText } from './package/spec.mjs';
import { project, setUp } from './setup.mjs';

const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));

try {
  const words = process.argv.slice(2);
  const only = words[0]?.startsWith('--only=') ? words.shift() : undefined;
  const folder = resolve(project, words[0] ?? 'dist');
  if (only === '--only=product') buildProduct(folder, prepareRuntime());
  else if (only === '--only=tree') buildTree(folder, prepareRuntime());
  else buildPackages(folder, only === '--only=run');
} catch (error) {
  process.stderr.write(`package: ${error.message}\n`);
  process.exitCode = 1;
}

function buildPackages(folder, onlyRun) {
  setUp({ only: ['packages', 'modules'] });
  const date = dateOfCommit();
  const release = releaseNumber();
  const runtime = prepareRuntime();
  mkdirSync(join(project, 'build'), { recursive: true });
  const work = mkdtempSync(join(project, 'build/package-'));
  process.once('exit', () => rmSync(work, { recursive: true, force: true }));

  const product = join(work, 'product');
  const { parts, licences, archives, build } = wholeProduct(product, runtime, date);
  mkdirSync(folder, { recursive: true });
  const made = [`rbdsr-${version}.run`];
  const unpackedBytes = sizeOf(product) + sizeOf(runtime.folder);
  writeSelfExtractor(join(folder, made[0]), { version, build, archives, unpackedBytes });
  if (!onlyRun) {
    const name = `rbdsr-${version}-${release}`;
    made.push(`${name}.x86_64.rpm`, `${name}.src.rpm`, `rbdsr-${version}-licences.txt`);
    const tree = hostTree(join(work, 'tree'), { product, runtime, build, date });
    writeSources(join(work, 'rpm/SOURCES'), { version, runtime, date });
    writeRpm(join(folder, made[1]), {
      spec: specText({ version, release, date, parts }),
      tree,
      work: join(work, 'rpm'),
      date,
      sourceFile: join(folder, made[2]),
    });
    writeWhole(join(folder, made[3]), licences);
    const sums = made.map((name) => `${sha256(readFileSync(join(folder, name)))}  ${name}\n`).join('');
    writeWhole(join(folder, 'SHA256SUMS'), sums);
  }
  const sizes = made.map((name) => `${name} (${(lstatSync(join(folder, name)).size / 1e6).toFixed(1)} MB)`);
  process.stdout.write(`${folder}: ${sizes.join(', ')}; ${(unpackedBytes / 1e6).toFixed(0)} MB installed\n`);
}

/** As the RPM's %build asks for it. */
function buildTree(folder, runtime) {
  const date = dateOfCommit();
  const product = `${folder}.product`;
  const { build } = wholeProduct(product, runtime, date);
  hostTree(folder, { product, runtime, build, date });
}

/** The product with its licences in `folder`, the archives that a host unpacks, and the name of this build. */
function wholeProduct(folder, runtime, date) {
  buildProduct(folder, runtime);
  const parts = partsOf(version, runtime);
  const licences = licencesText(parts);
  writeFileSync(join(folder, 'licences.txt'), licences);
  const archives = [readFileSync(runtime.archive), tarGzip(folder, date)];
  return { parts, licences, archives, build: `${version}-${sha256(Buffer.concat(archives)).slice(0, 8)}` };
}

/** By the node that ships: whoever rebuilds the source package may have no other. */
function buildProduct(folder, runtime) {
  const [program, ...args] = runtime.node;
  execFileSync(program, [...args, join(project, 'scripts/build.mjs'), folder, ...runtime.node], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** When the sources were committed: what every file is dated, so that the date of the build does not show. */
function dateOfCommit() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return new Date(Number(given) * 1000);
  const git = ['-c', `safe.directory=${project}`, 'log', '-1', '--format=%ct'];
  return new Date(Number(execFileSync('git', git, { cwd: project, encoding: 'utf8' })) * 1000);
}

/**
 * The root of a host as packaging/installer.sh leaves it, for the RPM. The build's name sorts before "current", so rpm
 * unpacks it first.
 */
function hostTree(tree, { product, runtime, build, date }) {
  const home = join(tree, 'opt/rbdsr');
  mkdirSync(home, { recursive: true });
  cpSync(runtime.folder, join(home, build), { recursive: true });
  cpSync(product, join(home, build), { recursive: true });
  symlinkSync(build, join(home, 'current'));
  for (const name of readdirSync(join(home, build))) symlinkSync(`current/${name}`, join(home, name));
  execFileSync('chmod', ['-R', 'go=rX,u+w', tree]);
  for (const path of readdirSync(tree, { recursive: true })) lutimesSync(join(tree, path), date, date);
  return tree;
}

function sizeOf(folder) {
  const entries = readdirSync(folder, { recursive: true }).map((path) => lstatSync(join(folder, path)));
  // In blocks of 4 KiB, as a file system counts.
  return entries.reduce((sum, { size }) => sum + Math.ceil(size / 4096) * 4096, 0);
}

function writeWhole(path, text) {
  writeFileSync(`${path}.new-${process.pid}`, text);
  renameSync(`${path}.new-${process.pid}`, path);
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}
