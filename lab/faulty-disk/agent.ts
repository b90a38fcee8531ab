import { existsSync, readFileSync, watch } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { FaultPlan } from './fault.ts';
import { serveStore } from './server.ts';
import { FaultyStore } from './store.ts';

// Runs in a host: `agent.cjs FOLDER`. Whoever puts NAME.plan into the folder gets a disk of that plan at NAME.socket;
// when the plan is removed, so is the disk. Power cuts of its own a disk survives.
const [folder = ''] = process.argv.slice(2);
const servers = new Map<string, Server>();

watch(folder, (_event, file) => {
  const [, name] = /^(.*)\.plan$/.exec(file ?? '') ?? [];
  if (name === undefined) return;
  const path = join(folder, `${name}.plan`);
  if (!existsSync(path)) {
    servers.get(name)?.close();
    servers.delete(name);
  } else if (!servers.has(name)) {
    const store = new FaultyStore(JSON.parse(readFileSync(path, 'utf8')) as FaultPlan);
    servers.set(name, serveStore(store, join(folder, `${name}.socket`)));
  }
});
process.stdout.write('ready\n');
