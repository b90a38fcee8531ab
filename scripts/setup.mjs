// `node scripts/setup.mjs [PART...]`: makes a clone ready; parts are packages, modules and build, all three unless
// named. A part that is done already costs milliseconds. Plain Node without dependencies: it runs before there are any.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNativeModule, NATIVE_MODULE, NATIVE_SOURCE } from './native-module.mjs';

export const project = dirname(dirname(fileURLToPath(import.meta.url)));

const parts = { packages: installPackages, modules: installModules, build: buildProduct };
const LOCK_FILE = join(project, 'package-lock.json');
const STAMP = join(project, 'node_modules/.rbdsr-lock-sha256');
const BUILT = join(project, 'build/dom0/launcher.sh');
/** Of the sources as they are, as tests and the lab's programs run them. */
const NATIVE = join(project, 'build', NATIVE_MODULE);

/** Throws an Error whose message says what to do. `quiet` prints nothing unless something fails. */
export function setUp({ only = Object.keys(parts), quiet = false } = {}) {
  for (const name of only) {
    if (parts[name] === undefined) throw new Error(`no part ${name}; there are ${Object.keys(parts).join(', ')}`);
    parts[name](quiet);
  }
}

function installPackages(quiet) {
  const wanted = readFileSync(join(project, 'lab/packages.txt'), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  if (!existsSync('/etc/debian_version')) throw new Error(`the lab and the tests need Debian 12 or later`);
  const missing = missingPackages(wanted);
  if (missing.length === 0) return;
  if (process.getuid() !== 0) throw new Error(`run this as root, or install: ${missing.join(' ')}`);
  const options = ['-q', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=300'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('the list of Debian packages', 'apt-get', [...options, 'update'], { quiet: true, said: !quiet, env });
  const install = [...options, 'install', '--yes', '--no-install-recommends', ...missing];
  run(`Debian packages: ${missing.join(' ')}`, 'apt-get', install, { quiet: true, said: !quiet, env });
}

function missingPackages(wanted) {
  const format = '${Package} ${db:Status-Status}\\n';
  const { stdout, error } = spawnSync('dpkg-query', ['-W', '-f', format, ...wanted], { encoding: 'utf8' });
  if (error) throw new Error(`dpkg-query cannot be started: the lab and the tests need Debian`, { cause: error });
  const installed = new Set(stdout.split('\n').filter((line) => line.endsWith(' installed')));
  return wanted.filter((name) => !installed.has(`${name} installed`));
}

function installModules(quiet) {
  installNpmModules(quiet);
  if (existsSync(NATIVE) && statSync(NATIVE).mtimeMs >= statSync(NATIVE_SOURCE).mtimeMs) return;
  buildNativeModule(NATIVE);
}

function installNpmModules(quiet) {
  const wanted = createHash('sha256').update(readFileSync(LOCK_FILE)).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  run('npm ci', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { quiet, said: !quiet });
  writeFileSync(STAMP, wanted);
}

function buildProduct(quiet) {
  const sources = ['src', 'scripts', 'package.json', 'package-lock.json'].map((path) => newest(join(project, path)));
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs >= Math.max(...sources)) return;
  run('build', process.execPath, [join(project, 'scripts/build.mjs')], { quiet, said: !quiet });
}

/** When the file, or anything in the folder, changed last; a folder changes when a file comes or goes. */
function newest(path) {
  const stat = statSync(path);
  const own = stat.mtimeMs;
  return stat.isDirectory() ? Math.max(own, ...readdirSync(path).map((name) => newest(join(path, name)))) : own;
}

function run(what, program, args, { quiet, said, env = process.env }) {
  if (said) process.stderr.write(`set-up: ${what}\n`);
  const started = performance.now();
  const stdio = quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', process.stderr, process.stderr];
  const result = spawnSync(program, args, { cwd: project, env, stdio, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
  if (result.error || result.status !== 0) {
    const how = result.error?.message ?? result.signal ?? `exit code ${result.status}`;
    const tail = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n').slice(-30).join('\n');
    throw new Error(`${program} ${args.join(' ')} failed (${how})\n${tail}`.trimEnd());
  }
  if (said) process.stderr.write(`set-up: done in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const named = process.argv.slice(2);
    setUp(named.length === 0 ? {} : { only: named });
  } catch (error) {
    process.stderr.write(`set-up: ${error.message}\n`);
    process.exitCode = 1;
  }
}
