import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { check } from '../machine/program.ts';
import { PROJECT_ROOT } from '../machine/project.ts';

const SOURCE = join(PROJECT_ROOT, 'lab/uml-host/ptrace-whole-state.c');
const LIBRARY = join(PROJECT_ROOT, 'build/lab/ptrace-whole-state.so');

let compiled: Promise<string> | undefined;

/** The library that every user-mode kernel is started with (LD_PRELOAD); compiled where that has not been done since its source changed. */
export function ptraceWrapper(): Promise<string> {
  // The hosts of a pool ask for it at once.
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<string> {
  if (existsSync(LIBRARY) && statSync(LIBRARY).mtimeMs >= statSync(SOURCE).mtimeMs) return LIBRARY;
  mkdirSync(dirname(LIBRARY), { recursive: true });
  // Whole or not at all: another lab may look for it meanwhile.
  const fresh = `${LIBRARY}.${process.pid}`;
  await check(['gcc', '-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-o', fresh, SOURCE]);
  renameSync(fresh, LIBRARY);
  return LIBRARY;
}
