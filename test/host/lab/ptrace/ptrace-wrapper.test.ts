import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compiled } from '../../../../lab/machine/compile.ts';
import { runProgram } from '../../../../lab/machine/program.ts';
import { PROJECT_ROOT } from '../../../../lab/machine/project.ts';
import { ptraceWrapper } from '../../../../lab/uml-host/ptrace-wrapper.ts';

// The library that stands between a user-mode kernel and ptrace, held against the bare system call by a program that
// traces a child (traces.c): gets, sets and peeks. Tried on a processor with AMX tiles (Intel, Sapphire
// Rapids), and the child has one in use. A processor without tiles was not at hand, AMD's or Intel's before: there the
// whole state fits into the user-mode kernel's buffer as it is.

const HAS_TILES = /^flags\s*:.* amx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));

async function traced(environment: Readonly<Record<string, string>>): Promise<{ code: number; lines: string[] }> {
  const program = await compiled('traces', join(PROJECT_ROOT, 'test/host/lab/ptrace'), []);
  const { code, stdout } = await runProgram([program], { env: environment });
  return { code, lines: stdout.trimEnd().split('\n') };
}

test('every answer by way of the library is that of the bare call, and a short set is done in whole', async () => {
  const { code, lines } = await traced({ LD_PRELOAD: await ptraceWrapper() });
  expect(lines.filter((line) => line.startsWith('other '))).toEqual([]);
  expect(lines.filter((line) => line.startsWith('same '))).toHaveLength(16);
  expect(code).toBe(0);
  expect(lines[0]).toMatch(HAS_TILES ? /, tiles in use$/ : /, tiles not in use$/);
});

test('without the library the kernel refuses a state that is shorter than the whole', async () => {
  const { lines } = await traced({});
  expect(lines).toContain('other set of 576: Bad address');
});
