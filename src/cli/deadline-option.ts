import { RbdsrError } from '../base/error.ts';

const SECONDS = 60;
/** A day: nobody waits longer. */
const MOST_SECONDS = 86_400;

/** `--deadline SECONDS` in milliseconds: a minute unless given. 'invalid-argument'. */
export function deadlineMs(text: string | undefined): number {
  const seconds = text === undefined ? SECONDS : Number(text);
  if (seconds >= 5 && seconds <= MOST_SECONDS) return seconds * 1000;
  throw new RbdsrError('invalid-argument', {
    what: '--deadline is no number of seconds',
    expected: `5 to ${MOST_SECONDS}`,
    found: JSON.stringify((text ?? '').slice(0, 40)),
  });
}
