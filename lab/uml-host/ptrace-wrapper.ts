import { join } from 'node:path';
import { compiled } from '../machine/compile.ts';
import { PROJECT_ROOT } from '../machine/project.ts';

/** The library that every user-mode kernel is started with (LD_PRELOAD). */
export function ptraceWrapper(): Promise<string> {
  return compiled('ptrace-whole-state.so', join(PROJECT_ROOT, 'lab/uml-host'), ['-shared', '-fPIC']);
}
