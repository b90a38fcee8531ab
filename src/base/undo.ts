import { messageOf } from './error.ts';

/**
 * What takes back what a piece of work had done before it failed, a name for each, in the order in which it is to be
 * done: the last thing first. Each gets time of its own (Deadline.forCleanUp), since the work's is often over.
 */
export type Undoing = Readonly<Record<string, () => Promise<unknown>>>;

/** By the error that they belong to: what is left, and why. */
const left = new WeakMap<object, string[]>();

/**
 * Takes it back, all of it, whatever fails, and throws `error`: what went wrong first is what people are told. What
 * could not be taken back goes with it, for the log (notUndone).
 */
export async function undo(error: unknown, steps: Undoing): Promise<never> {
  for (const [what, step] of Object.entries(steps)) {
    try {
      await step();
    } catch (failure) {
      keep(error, `${what}: ${messageOf(failure)}`);
    }
  }
  throw error;
}

/** What was not taken back after `error` or after a cause of it, a sentence each. */
export function notUndone(error: unknown): readonly string[] {
  if (typeof error !== 'object' || error === null) return [];
  const cause = 'detail' in error ? (error.detail as { readonly cause?: unknown }).cause : undefined;
  return [...(left.get(error) ?? []), ...notUndone(cause)];
}

function keep(error: unknown, what: string): void {
  if (typeof error !== 'object' || error === null) return;
  left.set(error, [...(left.get(error) ?? []), what]);
}
