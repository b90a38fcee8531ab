// `node scripts/build.mjs [FOLDER]`: what a host runs, into build/dom0 or FOLDER. One CommonJS bundle per program: CommonJS starts faster than ES modules do,
// and the code behind an `import()` in the sources is not evaluated, only skimmed, until a command needs it.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const target = resolve(process.argv[2] ?? join(project, 'build/dom0'));
const fresh = `${target}.new-${process.pid}`;
const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));

const entryPoints = { sm: 'src/main/sm.ts', cli: 'src/main/cli.ts', nbd: 'src/main/nbd-server.ts' };

mkdirSync(fresh, { recursive: true });
process.once('exit', () => rmSync(fresh, { recursive: true, force: true }));
await build({
  entryPoints,
  outdir: fresh,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: project,
  // A native module: found beside the bundle at run time.
  external: ['koffi'],
  define: { RBDSR_VERSION: JSON.stringify(version), 'import.meta.url': 'RBDSR_BUNDLE_URL' },
  banner: { js: "const RBDSR_BUNDLE_URL=require('node:url').pathToFileURL(__filename).href;" },
});
placeKoffi();
placeLauncher();
cacheCode('sm');
rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
process.stdout.write(`${target}: ${Object.keys(entryPoints).join(', ')}, version ${version}\n`);

/**
 * koffi's own entry finds the libc of the running program by its ELF interpreter, which fails where node is started by way of the loader of
 * its own glibc, as the product does. The binary alone is enough, and loads faster.
 */
function placeKoffi() {
  const source = join(project, 'node_modules/@koromix/koffi-linux-x64');
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const folder = join(fresh, 'node_modules/koffi');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(source, 'linux_x64/koffi.node'), join(folder, 'koffi.node'));
  copyFileSync(join(project, 'node_modules/koffi/LICENSE.txt'), join(folder, 'LICENSE.txt'));
  const shown = { name: 'koffi', version: manifest.version, license: manifest.license, main: './koffi.node' };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(shown, undefined, 2)}\n`);
}

/**
 * Has V8 keep what it compiled of a bundle, so that starting costs the same however much code the commands have: NAME.cjs becomes a loader,
 * NAME.bundle.cjs the code, NAME.cache what V8 kept. The cache suits the node that runs this script; another version ignores it.
 */
function cacheCode(name) {
  const bundle = join(fresh, `${name}.bundle.cjs`);
  renameSync(join(fresh, `${name}.cjs`), bundle);
  copyFileSync(join(project, 'scripts/bundle-loader.cjs'), join(fresh, `${name}.cjs`));
  const writer = join(project, 'scripts/write-code-cache.cjs');
  execFileSync(process.execPath, [writer, bundle, join(fresh, `${name}.cache`)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function placeLauncher() {
  const source = join(project, 'src/main/launcher.sh');
  copyFileSync(source, join(fresh, 'launcher.sh'));
  chmodSync(join(fresh, 'launcher.sh'), 0o755);
}
