// `npm run check`: decides whether a change is fit. Every part runs even when one fails; the table says which did.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { project, setUp } from './setup.mjs';

const parts = [
  { name: 'types', argv: ['tsc', '--noEmit', '-p', '.'] },
  {
    name: 'lint',
    argv: ['oxlint', '--type-aware', '--deny-warnings', 'src', 'lab', 'test', 'bench', 'scripts'],
  },
  { name: 'format', argv: ['biome', 'format', '.'] },
  { name: 'dead code', argv: ['knip'] },
  // Loaded when the modules are there.
  { name: 'layers', faults: async () => (await import('./layers.mjs')).layerFaults(project) },
  { name: 'folders', faults: async () => (await import('./folders.mjs')).folderFaults(project) },
  { name: 'protocols', faults: async () => (await import('./protocols.mjs')).protocolFaults(project) },
];

/**
 * Prints what the failed parts said and a table; how many passed, the names of those that failed, and how long each
 * took.
 */
export async function runChecks() {
  const queue = parts.map((part, index) => ({ ...part, index }));
  const results = [];
  const worker = async () => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      const started = performance.now();
      const { code, output } = part.faults === undefined ? await execute(part.argv) : outcomeOf(await part.faults());
      results.push({ ...part, code, output, ms: performance.now() - started });
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), parts.length) }, worker));
  results.sort((a, b) => a.index - b.index);
  for (const { name, code, output } of results) {
    if (code !== 0) process.stdout.write(`\n--- ${name}\n${output.trimEnd()}\n`);
  }
  process.stdout.write('\n');
  for (const { name, code, ms } of results) {
    process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(16)} ${(ms / 1000).toFixed(1)} s\n`);
  }
  const failures = results.filter(({ code }) => code !== 0).map(({ name }) => name);
  const tests = results.map(({ name, ms }) => ({ name, seconds: ms / 1000 }));
  return { passed: results.length - failures.length, failures, tests };
}

/** The outcome of a look at the sources, which finds faults, a line each. */
function outcomeOf(faults) {
  return { code: faults.length === 0 ? 0 : 1, output: faults.join('\n') };
}

/** The program's exit code and everything it printed; a program that cannot start counts as failed. */
function execute([program, ...args]) {
  return new Promise((resolve) => {
    let output = '';
    const path = join(project, 'node_modules/.bin', program);
    const child = spawn(path, args, { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 127, output: String(error) }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    setUp({ only: ['modules'] });
    process.exitCode = (await runChecks()).failures.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
