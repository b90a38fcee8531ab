import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';

const bundle = buildSync({
  entryPoints: [join(import.meta.dirname, '../../../src/system/fault-point.ts')],
  bundle: true,
  write: false,
  platform: 'node',
  format: 'cjs',
}).outputFiles[0]?.text;

/** Passes the points in this order in a process of its own. */
function passing(fault: string | undefined, ...names: readonly string[]): { said: string; signal: string | null } {
  const code = `${bundle}
    for (const name of ${JSON.stringify(names)}) {
      try { module.exports.faultPoint(name); } catch (error) { console.log('thrown', error.code); }
      require('node:fs').writeSync(1, name + ' ');
    }`;
  const { RBDSR_FAULT: _, ...environment } = process.env;
  const env = fault === undefined ? environment : { ...environment, RBDSR_FAULT: fault };
  const { stdout, signal } = spawnSync(process.execPath, ['-e', code], { env, encoding: 'utf8' });
  return { said: stdout, signal };
}

test.each([
  [undefined, 'a b a ', null],
  ['', 'a b a ', null],
  ['c', 'a b a ', null],
  ['b', 'a ', 'SIGKILL'],
  ['a:2', 'a b ', 'SIGKILL'],
  ['a:3', 'a b a ', null],
  ['b!error', 'a thrown fault-point\nb a ', null],
  ['a:2!error', 'a b thrown fault-point\na ', null],
])('RBDSR_FAULT=%s', (fault, said, signal) => {
  expect(passing(fault, 'a', 'b', 'a')).toEqual({ said, signal });
});
