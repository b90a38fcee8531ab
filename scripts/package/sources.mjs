// What the source package holds: the sources, and everything else that building takes, so that it is rebuilt without a
// network, on any Linux that has sh, tar and gzip.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildNativeModule, NATIVE_MODULE } from '../native-module.mjs';
import { project } from '../setup.mjs';
import { tarEnd, tarGzip } from './archive.mjs';
import { shippedModules } from './licences.mjs';

const OURS = [
  'src',
  'scripts',
  'packaging',
  'docs',
  'lab/packages.txt',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'LICENSE',
  'CHANGELOG.md',
  'README.md',
];

/** The tools of the build, but for the compiler; everything else of node_modules is for checks and tests. */
const TOOLS = ['node_modules/esbuild', 'node_modules/@esbuild/linux-x64'];

/** Beside the sources where they were unpacked from a source package. */
export const bundledFolder = join(project, 'bundled');

/** Into `folder`: rbdsr-VERSION.tar.gz and rbdsr-VERSION-bundled.tar.gz, which is unpacked over it. */
export function writeSources(folder, { version, runtime, date }) {
  mkdirSync(folder, { recursive: true });
  writeArchive(join(folder, `rbdsr-${version}.tar.gz`), date, (top) => {
    for (const path of OURS) copy(join(project, path), join(top, `rbdsr-${version}`, path));
  });
  writeArchive(join(folder, `rbdsr-${version}-bundled.tar.gz`), date, (top) => {
    for (const path of [...shippedModules(), ...TOOLS]) copy(join(project, path), join(top, path));
    const bundled = join(top, 'bundled');
    copy(runtime.archive, join(bundled, 'runtime.tar.gz'));
    copy(runtime.licence, join(bundled, 'node-licence'));
    for (const { name, copyright } of runtime.parts.libraries) copy(copyright, join(bundled, 'copyright', name));
    buildNativeModule(join(bundled, NATIVE_MODULE));
    writeFileSync(join(bundled, 'parts.json'), JSON.stringify(runtime.parts));
  });
}

/** As prepareRuntime (runtime.mjs) returns it, of what writeSources has put there. */
export function bundledRuntime() {
  if (!existsSync(bundledFolder)) return undefined;
  const folder = join(bundledFolder, 'tree');
  const lib = join(folder, 'runtime/lib');
  const parts = JSON.parse(readFileSync(join(bundledFolder, 'parts.json'), 'utf8'));
  const libraries = parts.libraries.map((part) => ({
    ...part,
    copyright: join(bundledFolder, 'copyright', part.name),
  }));
  return {
    folder,
    archive: join(bundledFolder, 'runtime.tar.gz'),
    node: [join(lib, 'ld-linux-x86-64.so.2'), '--library-path', lib, join(folder, 'runtime/bin/node')],
    licence: join(bundledFolder, 'node-licence'),
    parts: { ...parts, libraries },
  };
}

function writeArchive(file, date, fill) {
  const top = `${file}.tree`;
  fill(top);
  writeFileSync(file, Buffer.concat([tarGzip(top, date), tarEnd()]));
  rmSync(top, { recursive: true });
  // rpm keeps when it was made.
  utimesSync(file, date, date);
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, dereference: true });
}
