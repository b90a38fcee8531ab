import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const PROJECT = join(import.meta.dirname, '../../..');

/** Loads what one function of the plug-in is, as run-plugin.ts does once xapi has vouched for its caller. */
const LOAD_FUNCTION = `
import { PLUGIN_FUNCTIONS } from './src/sm/plugin/plugin-functions.ts';
void PLUGIN_FUNCTIONS.get(process.argv[2])?.load();`;

/** A build in which every module of ours notes that it is evaluated. Disposing removes it. */
export interface MarkedProduct extends Disposable {
  /** One run on a host that is a folder. */
  evaluated(program: Program, argument: string, options?: RunOptions): Evaluated;
}

export interface RunOptions {
  /** The SR that is plugged there. */
  readonly plugged?: string;
  /** As the dispatcher calls it for an iSCSI SR that is ours by its port. */
  readonly isDiverted?: boolean;
}

export interface Evaluated {
  /** In their order, as `src/...`. */
  readonly modules: readonly string[];
  /** Those of Node that were loaded: `fs`. */
  readonly builtins: readonly string[];
  readonly stdout: string;
}

export type Program = 'sm' | 'plugin' | 'plugin-function' | 'cli' | 'nbd';

/** `planted`: what is put in front of a module's text. */
export async function markedProduct(planted: Readonly<Record<string, string>> = {}): Promise<MarkedProduct> {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-evaluated-'));
  const loader = join(folder, 'plugin-function.ts');
  writeFileSync(loader, LOAD_FUNCTION.replace('./src', `${PROJECT}/src`));
  await build({
    entryPoints: {
      sm: 'src/main/sm.ts',
      plugin: 'src/main/plugin.ts',
      'plugin-function': loader,
      cli: 'src/main/cli.ts',
      nbd: 'src/main/nbd-server.ts',
    },
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'warning',
    absWorkingDir: PROJECT,
    external: ['ssh2'],
    define: { 'import.meta.url': 'BUNDLE_URL' },
    banner: {
      js: `const BUNDLE_URL=require('node:url').pathToFileURL(__filename).href,EVALUATED=[];process.once('exit',()=>require('node:fs').writeFileSync(process.env.EVALUATED,JSON.stringify({modules:EVALUATED,loaded:process.moduleLoadList})));`,
    },
    plugins: [
      {
        name: 'marks',
        setup(bundler) {
          bundler.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
            const module = relative(PROJECT, path);
            const mark = `EVALUATED.push(${JSON.stringify(module)});`;
            return { contents: `${planted[module] ?? ''}${mark}${readFileSync(path, 'utf8')}`, loader: 'ts' };
          });
        },
      },
    ],
  });
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  symlinkSync(join(PROJECT, 'build/system-call.node'), join(folder, 'system-call.node'));
  return {
    evaluated(program, argument, { plugged, isDiverted = false } = {}) {
      const root = hostFolder(join(folder, plugged === undefined ? 'host' : 'plugged'), plugged);
      const file = join(folder, 'evaluated.json');
      const driver = isDiverted ? { RBDSR_DRIVER: 'LVMoISCSI' } : {};
      const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: root, EVALUATED: file, ...driver };
      const script = join(folder, `${program}.cjs`);
      const { error, stdout } = spawnSync(process.execPath, [script, argument], { env, stdio: 'pipe' });
      if (error !== undefined) throw error;
      const { modules, loaded } = JSON.parse(readFileSync(file, 'utf8')) as Record<'modules' | 'loaded', string[]>;
      return {
        modules,
        builtins: loaded.map((name) => name.replace(/^NativeModule /, '')),
        stdout: stdout.toString(),
      };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function hostFolder(root: string, plugged: string | undefined): string {
  write(root, 'etc/xensource-inventory', "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='host'\n");
  if (plugged === undefined) return root;
  const record = { spec: { pool: 'rbd', image: 'image' }, allocation: 'thick' };
  write(root, `var/run/rbdsr/sr/${plugged}.json`, JSON.stringify(record));
  for (const [attribute, text] of Object.entries({ pool: 'rbd', name: 'image', major: '250', size: '1073741824' })) {
    write(root, `sys/bus/rbd/devices/0/${attribute}`, `${text}\n`);
  }
  return root;
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
