import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { DoorRequest } from './exec-door.ts';
import type { Outcome } from './machine/program.ts';

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
    await ask({ host, argv: ['/bin/sh', '-c', line] });
    lines.prompt();
  }
} else if (first === '--') {
  process.exitCode = await ask({ host, argv: more });
} else {
  const deviceConfig = Object.fromEntries(more.map((pair) => pair.split(/=(.*)/s, 2) as [string, string]));
  process.exitCode = await ask({ host, command: first, deviceConfig });
}

async function ask(request: DoorRequest): Promise<number> {
  const socket = connect({ path: door ?? '', allowHalfOpen: true });
  socket.end(JSON.stringify(request));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const { code, stdout, stderr } = JSON.parse(Buffer.concat(chunks).toString()) as Outcome;
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return code;
}
