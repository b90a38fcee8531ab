import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { encodeFault } from '../../../src/xmlrpc/encode.ts';
import { ended, Installation } from './stand-in.ts';

const REQUEST = "<?xml version='1.0'?><methodCall>secret</methodCall>";

function fault(detail: string): string {
  return encodeFault({ faultCode: 202, faultString: `The storage backend failed [opterr=${detail}]` });
}

function appears(path: string): Promise<string> {
  const read = (): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
  return Deadline.after(15_000).until(read, path);
}

describe.each(['dash', 'bash'])('the launcher in %s', (shell) => {
  test('passes on what the worker answers, byte for byte', async () => {
    await using host = new Installation(shell);
    host.worker(`call.answer('<answer/>\\n\\n', 'ein Wörtchen\\n');`);
    const end = await host.call(REQUEST);
    expect(end.stdout.toString()).toBe('<answer/>\n\n');
    expect(end.stderr.toString()).toBe('ein Wörtchen\n');
    expect(end.code).toBe(0);
    await host.settled();
  });

  test('hands the request over on stdin, to a process in its own session, without a trace in argv or a file', async () => {
    await using host = new Installation(shell);
    host.worker(`
      const [, session] = /\\) . \\d+ \\d+ (\\d+)/.exec(fs.readFileSync('/proc/self/stat', 'utf8'));
      const files = fs.readdirSync(process.env.RBDSR_CALL_DIR).sort();
      const mode = (fs.statSync(process.env.RBDSR_CALL_DIR).mode & 0o777).toString(8);
      call.answer(JSON.stringify({ own: Number(session) === process.pid, argc: process.argv.length, request, files, mode }), '');
    `);
    const end = await host.call(REQUEST);
    expect(JSON.parse(end.stdout.toString())).toEqual({
      own: true,
      argc: 2,
      request: REQUEST,
      files: ['err', 'out'],
      mode: '700',
    });
  });

  test.each([
    ['quotes, dollars and line ends', `<a b="c" d='e'>\n$HOME \`x\` \\n %s %d *\n\n</a>\n`],
    ['text of several alphabets', '<a>Größe 大きさ размер 💾</a>'],
    ['the longest argument Linux takes', `<a>${'x'.repeat(128 * 1024 - 5)}>`],
  ])('takes a request with %s', async (_what, request) => {
    await using host = new Installation(shell);
    host.worker(`call.answer(request, '');`);
    const end = await host.call(request);
    expect(end.stdout.toString()).toBe(request);
  });

  test('passes on a mebibyte with every byte value', async () => {
    await using host = new Installation(shell);
    host.worker(`fs.writeSync(1, Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 256 }, (_, i) => i))));`);
    const end = await host.call(REQUEST);
    const pattern = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
    expect(end.stdout.equals(pattern)).toBe(true);
    await host.settled();
  });

  test('passes on the exit code of a worker that fails', async () => {
    await using host = new Installation(shell);
    host.worker(`fs.writeSync(2, 'TypeError'); process.exit(7);`);
    const end = await host.call(REQUEST);
    expect(end).toMatchObject({ code: 7, stdout: Buffer.from(''), stderr: Buffer.from('TypeError') });
  });

  test('cleans up after a worker that was killed', async () => {
    await using host = new Installation(shell);
    host.worker(`process.kill(process.pid, 'SIGKILL'); await pause(60_000);`);
    const end = await host.call(REQUEST);
    expect(end.code).toBe(137);
    expect(end.stdout.toString()).toBe('');
    await host.settled();
  });

  test('does not wait for the end of a worker that has answered', async () => {
    await using host = new Installation(shell);
    host.worker(`
      fs.writeFileSync(process.env.TEST_ROOT + '/pid', String(process.pid));
      call.answer('<fault/>', '');
      block(600_000);
    `);
    const end = await host.call(REQUEST);
    expect(end.stdout.toString()).toBe('<fault/>');
    expect(end.code).toBe(0);
    const worker = Number(readFileSync(host.file('pid'), 'utf8'));
    expect(host.processes()).toContain(worker);
    // The timer may take a moment to end.
    const alone = (): true | undefined => (host.processes().every((pid) => pid === worker) ? true : undefined);
    await Deadline.after(15_000).until(alone, 'the timer of the call to end');
    expect(host.processes()).toEqual([worker]);
  });

  test('answers with what the worker left when the worker cannot, and lets it live', async () => {
    await using host = new Installation(shell);
    host.worker(`
      process.on('SIGTERM', () => {});
      call.setDeadline(1);
      call.waitingFor('<first/>');
      call.waitingFor('<second>\\n</second>\\n');
      fs.writeFileSync(process.env.TEST_ROOT + '/pid', String(process.pid));
      block(4000);
      call.answer('too late', 'too late');
      fs.writeFileSync(process.env.TEST_ROOT + '/finished', 'yes');
    `);
    const end = await host.call(REQUEST);
    expect(end.stdout.toString()).toBe('<second>\n</second>\n');
    expect(end.stderr.toString()).toBe('');
    expect(end.code).toBe(0);
    expect(host.processes()).toContain(Number(readFileSync(host.file('pid'), 'utf8')));
    expect(await appears(host.file('finished'))).toBe('yes');
    await host.settled();
  });

  test('answers in words of its own when the worker left none', async () => {
    await using host = new Installation(shell);
    host.worker(`
      fs.writeFileSync(process.env.TEST_ROOT + '/pid', String(process.pid));
      call.setDeadline(1);
      block(600_000);
    `);
    const end = await host.call(REQUEST);
    const pid = readFileSync(host.file('pid'), 'utf8');
    const detail = `The worker of this command (process ${pid}) did not answer in 1 seconds. Until it ends nothing else is done to its SR on this host.`;
    expect(end.stdout.toString()).toBe(fault(detail));
    expect(end.code).toBe(0);
  });

  test('waits longer when the worker raises the deadline', async () => {
    await using host = new Installation(shell);
    host.worker(`
      call.waitingFor('<late/>');
      call.setDeadline(3);
      await pause(1000);
      call.setDeadline(60);
      await pause(3500);
      call.answer('<in-time/>', '');
    `);
    expect((await host.call(REQUEST)).stdout.toString()).toBe('<in-time/>');
    await host.settled();
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    'ends without an answer on %s; the worker goes on',
    async (signal) => {
      await using host = new Installation(shell);
      host.worker(`
      fs.writeFileSync(process.env.TEST_ROOT + '/ready', 'yes');
      while (!fs.existsSync(process.env.TEST_ROOT + '/go')) await pause(20);
      call.answer('<answer/>', '');
      fs.writeFileSync(process.env.TEST_ROOT + '/finished', 'yes');
    `);
      const launcher = host.start(REQUEST);
      const end = ended(launcher);
      await appears(host.file('ready'));
      launcher.kill(signal);
      const expected = signal === 'SIGKILL' ? { code: null, signal } : { code: 143, signal: null };
      expect(await end).toMatchObject({ ...expected, stdout: Buffer.from(''), stderr: Buffer.from('') });
      writeFileSync(host.file('go'), '');
      expect(await appears(host.file('finished'))).toBe('yes');
      await host.settled();
    },
  );

  test('says which file of the installation is missing', async () => {
    await using host = new Installation(shell);
    const bundle = join(host.home, 'sm.cjs');
    const text = (path: string): string =>
      fault(`${path} is missing, so RBDSR is not completely installed on this host. Run its installer again.`);
    expect(await host.call(REQUEST)).toMatchObject({
      code: 0,
      stdout: Buffer.from(text(bundle)),
      stderr: Buffer.from(''),
    });
    const node = join(host.home, 'runtime/bin/node');
    rmSync(node);
    expect(await host.call(REQUEST)).toMatchObject({
      code: 0,
      stdout: Buffer.from(text(node)),
      stderr: Buffer.from(''),
    });
    const forPeople = await host.call('version');
    expect(forPeople.code).toBe(127);
    expect(forPeople.stderr.toString()).toContain(`${node} is missing`);
  });

  test('says so when there is no place for the call', async () => {
    await using host = new Installation(shell);
    host.worker(`call.answer('', '');`);
    writeFileSync(host.run, '');
    const end = await host.call(REQUEST);
    expect(end.stdout.toString()).toContain(`The directory ${host.run}/calls cannot be written`);
    expect(end.code).toBe(0);
  });

  test("becomes the operator's command for anything that is not a request", async () => {
    await using host = new Installation(shell);
    writeFileSync(
      join(host.home, 'cli.cjs'),
      `console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 5;`,
    );
    const end = await host.call('sr', 'a b', '"', '<x>', '');
    expect(JSON.parse(end.stdout.toString())).toEqual(['sr', 'a b', '"', '<x>', '']);
    expect(end.code).toBe(5);
    expect((await host.call('version')).stdout.toString()).toBe('["version"]\n');
    expect((await host.call()).stdout.toString()).toBe('[]\n');
  });

  test('starts node by the loader that lies beside it', async () => {
    await using host = new Installation(shell);
    const lib = join(host.home, 'runtime/lib');
    mkdirSync(lib);
    symlinkSync('/lib64/ld-linux-x86-64.so.2', join(lib, 'ld-linux-x86-64.so.2'));
    host.worker(`call.answer(fs.readFileSync('/proc/self/cmdline', 'utf8').split('\\0').join(' ') + request, '');`);
    const end = await host.call(REQUEST);
    const program = `${lib}/ld-linux-x86-64.so.2 --library-path ${lib}`;
    const expected = `${program} ${host.home}/runtime/bin/node ${host.home}/sm.cjs ${REQUEST}`;
    expect(end.stdout.toString()).toBe(expected);
  });
});
