import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pythons } from '../divert/pythons.ts';
import { ended, Installation } from './stand-in.ts';

const LAUNCHER = join(import.meta.dirname, '../../../src/main/launcher.sh');
const TEXT = readFileSync(LAUNCHER, 'utf8');
const REQUEST = "<?xml version='1.0'?><methodCall>größe</methodCall>";

/**
 * What xapi's tracing launcher does with a driver (xen-api `python3/packages/observer.py`): run_path under the name
 * __main__.
 */
const OBSERVER = `
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

/** Says how it was called. */
const WORKER = `
  const { RBDSR_LAUNCHER_PID, RBDSR_CALL_DIR, ...environment } = process.env;
  call.answer(JSON.stringify({ request, environment }), 'a word');
`;

test.each(['/bin/dash', '/bin/bash'])('run by %s it answers as ever, whatever its Python half is', async (shell) => {
  await using host = new Installation(shell);
  host.worker(WORKER);
  const [sh = ''] = TEXT.split("\n'''\n");
  expect(sh).toMatch(/\nexit "\$code"$/);
  const entry = host.driverEntry(`${sh}\n'''\n(\n`);
  const end = await ended(host.startBy([shell, entry], REQUEST));
  expect(end).toMatchObject({ code: 0, stderr: Buffer.from('a word') });
  expect(end).toEqual(await host.call(REQUEST));
});

describe.each(pythons())('Python $version', ({ program }) => {
  test("xapi's tracing launcher gets the launcher's answer and exit code", async () => {
    await using host = new Installation('/bin/sh');
    host.worker(WORKER);
    const entry = host.driverEntry(TEXT);
    const seen = (stdout: Buffer): unknown =>
      // Python from 3.7 on puts a locale in the place of C for itself (PEP 538).
      JSON.parse(stdout.toString(), (name, value: unknown) => (name === 'LC_CTYPE' ? undefined : value));
    const direct = await ended(host.startBy([entry], REQUEST));
    const traced = await ended(host.startBy([program, '-c', OBSERVER, entry], REQUEST));
    expect(seen(direct.stdout)).toMatchObject({ request: REQUEST });
    expect({ ...traced, stdout: seen(traced.stdout) }).toEqual({ ...direct, stdout: seen(direct.stdout) });
    host.worker(`fs.writeSync(2, 'TypeError'); process.exit(7);`);
    const failed = await ended(host.startBy([program, '-c', OBSERVER, entry], REQUEST));
    expect(failed).toMatchObject({ code: 7, stdout: Buffer.from(''), stderr: Buffer.from('TypeError') });
  });

  test('it compiles without a warning, and does nothing when it is imported', () => {
    const code = `import sys; f = open(sys.argv[1]); text = f.read(); f.close(); exec(compile(text, 'RBDSR', 'exec'), {'__name__': 'RBDSR'})`;
    const { status, stdout, stderr } = spawnSync(program, ['-W', 'error', '-c', code, LAUNCHER], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

test('it is plain ASCII, which Python 2 takes without a word about its encoding', () => {
  expect(TEXT).toMatch(/^[\n -~]*$/);
});
