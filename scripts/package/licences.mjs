// One text with everything that is shipped: what it is, in which version, from where, under which licence, and the
// licences' own words.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../setup.mjs';

/**
 * Everything in the package; `runtime` is what prepareRuntime returns. `spdx` is the licence as an expression,
 * `bundled` what packagers call a part that others may have as a package of its own.
 */
export function partsOf(version, runtime) {
  return [ours(version), ...npmParts(), node(runtime), ...libraries(runtime)];
}

/** `parts` are what partsOf returns. */
export function licencesText(parts) {
  const list = parts.map(({ name, version: of, licence, from }) => `${name} ${of}\n    ${licence}; ${from}\n`).join('');
  const texts = parts.map(({ name, text }) => `${'='.repeat(100)}\n${name}\n${'='.repeat(100)}\n\n${text.trimEnd()}\n`);
  return `${HEAD}\n${list}\n${[...new Set(texts)].join('\n')}`;
}

const HEAD = `What RBDSR is made of, and the licence of each part. The source of a Debian package is the Debian source package of that version.
The node binary is without its debugging symbols, and without ICU's data for languages other than English.
`;

function ours(version) {
  const text = readFileSync(join(project, 'LICENSE'), 'utf8');
  const licence = 'LGPL-2.1-only';
  return { name: 'RBDSR', version, licence, spdx: licence, from: 'this project', text };
}

/**
 * The folders of the packages that are bundled: those of package-lock.json that are not for development, nor left out
 * of the bundles as optional.
 */
export function shippedModules() {
  const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(([path, { dev, optional }]) => path !== '' && dev !== true && optional !== true)
    .map(([path]) => path);
}

function npmParts() {
  return shippedModules().map((path) => {
    const folder = join(project, path);
    const { name, version, license, licenses } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const licence = license ?? licenses?.map(({ type }) => type).join(' AND ');
    if (licence === undefined) throw new Error(`${path} names no licence`);
    const text = npmText(name, folder);
    return { name, version, licence, spdx: licence, bundled: `npm(${name})`, from: 'npm package', text };
  });
}

/** Packages without a file of their own have it in packaging/licences. */
function npmText(name, folder) {
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const path = file === undefined ? join(project, 'packaging/licences', `${name}.txt`) : join(folder, file);
  if (!existsSync(path)) throw new Error(`${folder} has no licence text, and there is no ${path}`);
  return readFileSync(path, 'utf8');
}

function node({ licence, parts }) {
  const { package: name, version } = parts.node;
  const from = `the official binary, from the npm package ${name}`;
  return {
    name: 'Node.js',
    version,
    licence: 'MIT, and those of its parts',
    spdx: NODE_LICENCES,
    bundled: 'nodejs',
    from,
    text: readFileSync(licence, 'utf8'),
  };
}

function libraries({ parts }) {
  return parts.libraries.map(({ name, version, source, sourceVersion, files, copyright }) => ({
    name,
    version,
    licence: LIBRARY_LICENCES[name],
    spdx: LIBRARY_LICENCES[name],
    bundled: LIBRARY_NAMES[name],
    from: `Debian package, source ${source} ${sourceVersion}: ${files.map(({ file }) => file).join(', ')}`,
    text: readFileSync(copyright, 'utf8'),
  }));
}

const LIBRARY_LICENCES = {
  libc6: 'LGPL-2.1-or-later',
  'libgcc-s1': 'GPL-3.0-or-later WITH GCC-exception-3.1',
  'libstdc++6': 'GPL-3.0-or-later WITH GCC-exception-3.1',
};

/** As packages of other distributions are called. */
const LIBRARY_NAMES = { libc6: 'glibc', 'libgcc-s1': 'libgcc', 'libstdc++6': 'libstdc++' };

/** Of what is compiled into the binary, by its LICENSE: Node, OpenSSL, libuv, V8, ICU, zlib, minimatch and others. */
const NODE_LICENCES =
  'MIT AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND BlueOak-1.0.0 AND ISC AND Unicode-3.0 AND Zlib';
