import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';

/** "4.19.0+1". */
export function kernelRelease(): string {
  return release();
}

/** Loads the module unless the kernel has it already, built in or loaded. 'kernel-module-missing' | 'deadline'. */
export async function ensureModule(name: string, deadline: Deadline): Promise<void> {
  if (existsSync(`/sys/module/${name.replaceAll('-', '_')}`)) return;
  // Whoever asks for the kernel's version runs no program.
  const { runFailure, runProgram, succeeded } = await import('./run.ts');
  const outcome = await runProgram('modprobe', ['--', name], { deadline });
  if (succeeded(outcome)) return;
  if (outcome.end.kind === 'timeout') throw runFailure(outcome);
  throw new RbdsrError('kernel-module-missing', {
    what: `the kernel module ${name} cannot be loaded`,
    found: `kernel ${kernelRelease()}; modprobe said: ${outcome.stderr.trim() || JSON.stringify(outcome.end)}`,
    facts: { module: name, kernel: kernelRelease() },
  });
}

/** Compares the first two numbers: distributions backport fixes, not map options. */
export function isOlder(release: string, than: string): boolean {
  const [major, minor] = numbers(release);
  const [thanMajor, thanMinor] = numbers(than);
  return major === thanMajor ? minor < thanMinor : major < thanMajor;
}

function numbers(release: string): readonly [number, number] {
  const [, major, minor] = /^([0-9]+)\.([0-9]+)/.exec(release) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}
