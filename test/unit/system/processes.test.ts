import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { commandOf, describeProcess, processFacts } from '../../../src/system/processes.ts';

test.each([
  ['rbdsr sm sr_attach\0', 'node', 'rbdsr sm sr_attach'],
  // A runtime with its own loader keeps the loader's words before the title.
  ['/opt/rbdsr/runtime/lib/ld-linux-x86-64.so.2\0--library-path\0/opt\0rbdsr sm sr_scan\0', 'x', 'rbdsr sm sr_scan'],
  [
    '/usr/bin/python3\0/opt/xensource/sm/LVMoISCSISR\0<methodCall><methodName>sr_scan</methodName><value>hunter2</value>\0',
    'python3',
    'python3 /opt/xensource/sm/LVMoISCSISR sr_scan',
  ],
  ['mysql\0--password=hunter2\0', 'mysql', 'mysql'],
  ['sh\0-c\0echo hunter2\0', 'sh', 'sh'],
  ['', 'kworker/0:1', 'kworker/0:1'],
  ['', '', '?'],
])('%j is shown without its secrets', (cmdline, comm, shown) => {
  expect(commandOf(cmdline, comm)).toBe(shown);
});

test('tells what a process is and since when', async () => {
  const before = Date.now();
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const facts = processFacts(pid);
  expect(facts).toMatchObject({ pid, parent: process.pid, command: 'sleep' });
  // /proc counts whole seconds for the boot and hundredths since: within two seconds of what our clock says.
  expect(Math.abs((facts?.startedAt ?? 0) - before)).toBeLessThan(2000);
  expect(describeProcess(pid)).toMatch(new RegExp(`^pid ${pid} \\(sleep\\) since \\d{4}-\\S+:\\d\\dZ \\(\\d+ s\\)$`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(processFacts(pid)).toBeUndefined();
  expect(describeProcess(pid)).toBe(`pid ${pid}`);
});
