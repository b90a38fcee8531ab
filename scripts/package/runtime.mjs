// The runtime that ships: node, as its project publishes it, with the C and C++ libraries of this Debian, so that a
// host needs only a kernel. What it is made of is pinned in packaging/runtime.json. Made once, and kept below
// node_modules/.cache.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../setup.mjs';
import { tarGzip } from './archive.mjs';
import { blankLocales } from './node-locales.mjs';
import { bundledRuntime } from './sources.mjs';

const CACHE = join(project, 'node_modules/.cache/rbdsr-package');
const pins = JSON.parse(readFileSync(join(project, 'packaging/runtime.json'), 'utf8'));

/**
 * `folder` holds runtime/; `archive` is the same as tar in gzip, without the end of a tar; `node` is how this node is
 * started; `parts` says what it is made of.
 */
export function prepareRuntime() {
  const bundled = bundledRuntime();
  if (bundled !== undefined) return bundled;
  const libraries = findLibraries();
  const key = keyOf(libraries);
  const kept = join(CACHE, `runtime-${key}`);
  if (!existsSync(kept)) {
    mkdirSync(CACHE, { recursive: true });
    const fresh = mkdtempSync(join(CACHE, 'new-'));
    try {
      make(fresh, libraries);
      forgetOthers();
      renameSync(fresh, kept);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  const folder = join(kept, 'tree');
  const lib = join(folder, 'runtime/lib');
  return {
    folder,
    archive: join(kept, 'runtime.tar.gz'),
    node: [join(lib, 'ld-linux-x86-64.so.2'), '--library-path', lib, join(folder, 'runtime/bin/node')],
    licence: join(kept, 'node-licence'),
    parts: { node: pins.node, libraries },
  };
}

function make(folder, libraries) {
  const runtime = join(folder, 'tree/runtime');
  mkdirSync(join(runtime, 'bin'), { recursive: true });
  mkdirSync(join(runtime, 'lib'));
  const unpacked = join(folder, 'npm');
  fetchNode(unpacked);
  const binary = join(runtime, 'bin/node');
  execFileSync('strip', ['--strip-all', '-o', binary, join(unpacked, 'package/bin/node')]);
  const image = readFileSync(binary);
  blankLocales(image);
  writeFileSync(binary, image);
  chmodSync(binary, 0o755);
  for (const { file, path } of libraries.flatMap(({ files }) => files)) {
    copyFileSync(path, join(runtime, 'lib', file));
    chmodSync(join(runtime, 'lib', file), file.startsWith('ld-') ? 0o755 : 0o644);
  }
  copyFileSync(join(unpacked, 'package/LICENSE'), join(folder, 'node-licence'));
  rmSync(unpacked, { recursive: true });
  const archive = tarGzip(join(folder, 'tree'), new Date(pins.node.released));
  writeFileSync(join(folder, 'runtime.tar.gz'), archive);
}

/** The tarball comes through npm's own cache; whether it is the pinned one is decided here. */
function fetchNode(folder) {
  const { package: name, version, integrity } = pins.node;
  mkdirSync(folder, { recursive: true });
  const argv = ['pack', '--silent', '--prefer-offline', '--pack-destination', folder, `${name}@${version}`];
  execFileSync('npm', argv, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const tarball = join(folder, `${name}-${version}.tgz`);
  const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (found !== integrity)
    throw new Error(`${name}@${version} is not the pinned one: ${found} instead of ${integrity}`);
  execFileSync('tar', ['-xzf', tarball, '-C', folder, 'package/bin/node', 'package/LICENSE']);
}

/** Each Debian package with its version and where its files are: exactly as Debian made them. */
function findLibraries() {
  const names = Object.keys(pins.libraries);
  const altered = execFileSync('dpkg', ['--verify', ...names], { encoding: 'utf8' });
  return names.map((name) => {
    const installed = execFileSync('dpkg-query', ['-L', `${name}:amd64`], { encoding: 'utf8' }).split('\n');
    const files = pins.libraries[name].map((file) => {
      const listed = installed.find((path) => path.endsWith(`/x86_64-linux-gnu/${file}`));
      if (listed === undefined) throw new Error(`the Debian package ${name} has no ${file}`);
      const path = realpathSync(listed);
      if (altered.includes(listed) || altered.includes(path)) throw new Error(`${path} is not as ${name} brought it`);
      return { file, path };
    });
    const shown = execFileSync('dpkg-query', ['-W', '-f', '${Version}\t${source:Package}\t${source:Version}', name], {
      encoding: 'utf8',
    });
    const [version, source, sourceVersion] = shown.split('\t');
    return { name, version, source, sourceVersion, files, copyright: `/usr/share/doc/${name}/copyright` };
  });
}

/** Runtimes of other pins; a build that still reads one would have to run at this very moment. */
function forgetOthers() {
  for (const name of readdirSync(CACHE).filter((entry) => entry.startsWith('runtime-'))) {
    rmSync(join(CACHE, name), { recursive: true });
  }
}

/** Everything that decides what the runtime is. */
function keyOf(libraries) {
  const hash = createHash('sha256').update(JSON.stringify([pins, libraries]));
  hash.update(execFileSync('strip', ['--version']));
  for (const { path } of libraries.flatMap(({ files }) => files)) hash.update(readFileSync(path));
  for (const name of ['runtime.mjs', 'node-locales.mjs', 'archive.mjs']) {
    hash.update(readFileSync(join(project, 'scripts/package', name)));
  }
  return hash.digest('hex').slice(0, 16);
}
