import { readFileSync } from 'node:fs';

/** The sudoers list that the document gives to the administrator: the tests give it to sudo. */
export function sudoersOfDocument(): string {
  const text = readFileSync(new URL('../../../docs/monitor-over-ssh.md', import.meta.url), 'utf8');
  const [, block] = /```sudoers\n([\s\S]*?)```/.exec(text) ?? [];
  if (block === undefined) throw new Error('docs/monitor-over-ssh.md has no block of sudoers lines');
  return block;
}
