import { createInterface } from 'node:readline';
import { ask } from './door/ask.ts';
import type { DoorOutcome, DoorRequest } from './door/requests.ts';

// Asks a lab that is up (`npm run lab`):
//   exec.ts DOOR HOST -- PROGRAM [ARGUMENT...]     a program on a host
//   exec.ts DOOR HOST                              a shell on a host, one line at a time
//   exec.ts DOOR HOST COMMAND [KEY=VALUE...]       an SM command, as xapi sends it, with this device_config
const [door, host, ...rest] = process.argv.slice(2);
if (door === undefined || host === undefined)
  throw new Error('usage: exec.ts DOOR HOST [-- PROGRAM... | COMMAND KEY=VALUE...]');
const [first, ...more] = rest;

if (first === undefined) {
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: `${host}# ` });
  lines.prompt();
  for await (const line of lines) {
    await show({ ask: 'exec', host, argv: ['/bin/sh', '-c', line] });
    lines.prompt();
  }
} else if (first === '--') {
  process.exitCode = await show({ ask: 'exec', host, argv: more });
} else {
  const deviceConfig = Object.fromEntries(more.map((pair) => pair.split(/=(.*)/s, 2) as [string, string]));
  process.exitCode = await show({ ask: 'command', host, command: first, deviceConfig });
}

async function show(request: Extract<DoorRequest, { ask: 'exec' | 'command' }>): Promise<number> {
  const { code, stdout, stderr } = await ask<DoorOutcome>(door ?? '', request);
  process.stdout.write(Buffer.from(stdout, 'base64'));
  process.stderr.write(Buffer.from(stderr, 'base64'));
  return code;
}
