// `node scripts/build.mjs [FOLDER [NODE...]]`: what a host has in /opt/rbdsr, but for the runtime, into build/dom0 or
// FOLDER. NODE is how the host's node is started, unless it is this one. One CommonJS bundle per program: CommonJS
// starts faster than ES modules do, and the code behind an `import()` in the sources is not evaluated, only skimmed,
// until a command needs it.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildNativeModule, NATIVE_MODULE } from './native-module.mjs';
import { packParts } from './pack-parts.mjs';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const target = resolve(process.argv[2] ?? join(project, 'build/dom0'));
const [node, ...nodeArguments] = process.argv.length > 3 ? process.argv.slice(3) : [process.execPath];
/** What most commands of the worker need before they find out what there is to do. */
const FIRST_OF_WORKER = [
  'src/sm/handlers/driver-info.ts',
  'src/sm/handlers/vdi-attach.ts',
  'src/sm/handlers/sr-scan.ts',
  'src/sr/work/late-writers.ts',
  'src/system/locks/record-lock.ts',
];
/** What the plug-in needs while a guest waits for it. */
const FIRST_OF_PLUGIN = [
  'src/sm/plugin/pause.ts',
  'src/sr/attached-sr.ts',
  'src/sr/work/late-writers.ts',
  'src/system/locks/record-lock.ts',
  'src/xapi/lasting-session.ts',
];
const fresh = `${target}.new-${process.pid}`;
const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));

/** In one file each. */
const entryPoints = {
  cli: 'src/main/cli.ts',
  nbd: 'src/main/nbd-server.ts',
};

mkdirSync(fresh, { recursive: true });
process.once('exit', () => rmSync(fresh, { recursive: true, force: true }));
const options = {
  outdir: fresh,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: project,
  // Found beside the bundles at run time: few commands load it.
  external: ['ssh2'],
  define: { RBDSR_VERSION: JSON.stringify(version), 'import.meta.url': 'RBDSR_BUNDLE_URL' },
};
await build({
  ...options,
  entryPoints,
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  banner: { js: "const RBDSR_BUNDLE_URL=require('node:url').pathToFileURL(__filename).href;" },
});
buildNativeModule(join(fresh, NATIVE_MODULE));
await placeSsh2();
placeScripts();
await packParts(options, 'sm', 'src/main/sm.ts', FIRST_OF_WORKER);
await packParts(options, 'plugin', 'src/main/plugin.ts', FIRST_OF_PLUGIN);
for (const name of ['sm', 'plugin']) cacheCode(name);
rmSync(target, { recursive: true, force: true });
renameSync(fresh, target);
process.stdout.write(`${target}: sm, plugin, ${Object.keys(entryPoints).join(', ')}, version ${version}\n`);

/**
 * ssh2 and what it needs, as one file of its own, so that no other command reads it. Its optional native parts (faster
 * ciphers, and a look at the processor) are left out: it does without them where requiring them fails.
 */
async function placeSsh2() {
  const source = join(project, 'node_modules/ssh2');
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const folder = join(fresh, 'node_modules/ssh2');
  await build({
    entryPoints: [join(source, manifest.main)],
    outfile: join(folder, 'index.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    absWorkingDir: project,
    external: ['cpu-features', '*.node'],
  });
  for (const name of ['ssh2', 'asn1', 'bcrypt-pbkdf', 'safer-buffer', 'tweetnacl']) {
    copyFileSync(join(project, 'node_modules', name, 'LICENSE'), join(folder, `LICENSE.${name}`));
  }
  const shown = { name: 'ssh2', version: manifest.version, license: 'MIT', main: './index.js' };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(shown, undefined, 2)}\n`);
}

/**
 * Has V8 keep what it compiled of a program in parts, so that starting costs the same however much code the commands
 * have. A cache suits the node it was made with; another version ignores it.
 */
function cacheCode(name) {
  const writer = join(project, 'scripts/write-code-cache.cjs');
  const argv = [...nodeArguments, '--predictable', '--random-seed=1', writer, join(fresh, `${name}.cjs`)];
  execFileSync(node, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** What xapi starts, and the commands of the older plug-in. */
function placeScripts() {
  const scripts = readdirSync(join(project, 'src/main')).filter((name) => !name.endsWith('.ts'));
  for (const name of scripts) placeScript(`src/main/${name}`, name);
  mkdirSync(join(fresh, 'shims'));
  for (const name of readdirSync(join(project, 'packaging/shims'))) {
    placeScript(`packaging/shims/${name}`, `shims/${name}`);
  }
}

function placeScript(source, name) {
  copyFileSync(join(project, source), join(fresh, name));
  chmodSync(join(fresh, name), 0o755);
}
