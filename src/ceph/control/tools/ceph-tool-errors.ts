import { constants } from 'node:os';
import { hasCode, RbdsrError } from '../../../base/error.ts';
import type { RunOutcome } from '../../../system/run.ts';
import { userNotLetIn } from '../../cluster/not-let-in.ts';
import { printable } from '../../image/image-spec.ts';
import { monitorNotAllowed } from '../not-allowed.ts';

/** One call of `rbd` or `ceph`, for the messages about how it failed. */
export interface ToolFailure {
  readonly outcome: RunOutcome;
  readonly program: 'rbd' | 'ceph';
  /** "rbd info". */
  readonly command: string;
  /** Without `client.`. */
  readonly user: string;
  /** "the cluster at 10.0.0.11:6789". */
  readonly cluster: string;
}

/** "rbd info", "ceph osd pool ls": the words before the first option, three at most. */
export function toolCommandOf(program: 'rbd' | 'ceph', args: readonly string[]): string {
  const firstOption = args.findIndex((word) => word.startsWith('-'));
  return [program, ...args.slice(0, firstOption < 0 ? args.length : firstOption).slice(0, 3)].join(' ');
}

/** Both programs exit with the errno of what failed; this is its name. */
export function errnoOf(outcome: RunOutcome): string {
  if (outcome.end.kind === 'not-started') return outcome.end.errno;
  if (outcome.end.kind !== 'exit') return 'ETIMEDOUT';
  const { code } = outcome.end;
  return errnoNamed(code) ?? `exit ${code}`;
}

/** "ENOENT" for 2. */
export function errnoNamed(code: number): string | undefined {
  return Object.entries(constants.errno).find(([, value]) => value === code)?.[0];
}

/** The errno a 'control-plane-failed' error carries. */
export function exitErrno(error: unknown): string | undefined {
  const errno = hasCode(error, 'control-plane-failed') ? error.detail.facts?.['errno'] : undefined;
  return typeof errno === 'string' ? errno : undefined;
}

export function toolFailed({ outcome, command }: ToolFailure): RbdsrError {
  const errno = errnoOf(outcome);
  const said = withoutNoise(outcome.stderr);
  return new RbdsrError('control-plane-failed', {
    what: `\`${command}\` failed`,
    found: said === '' ? errno : `${errno}: ${said}`,
    facts: { command, errno },
  });
}

/** The monitors let it log in and then refuse what it asks; without this they let it not even log in. */
export function toolNotAllowed(failure: ToolFailure): RbdsrError {
  const { outcome, command, user } = failure;
  return REFUSED_COMMAND.test(outcome.stderr)
    ? monitorNotAllowed(failure, command)
    : userNotLetIn(user, errnoOf(outcome));
}

/**
 * Who may not have the map of OSDs waits for it in vain, and is refused at once where it asks for it by command: then
 * that is why `rbd` did not end.
 */
export async function mapRefused(osdDump: Promise<ToolFailure>): Promise<RbdsrError | undefined> {
  const asked = await osdDump;
  return errnoOf(asked.outcome) === 'EACCES' ? toolNotAllowed(asked) : undefined;
}

/**
 * A key of another type than aes that the programs cannot read: those before 19.2.6, 20.2.4 and 21.2 know no other. All
 * that they say, where they log nothing, is that reading failed; a log would quote the key.
 */
export function keyUnreadable(type: string, { outcome, program, user }: ToolFailure): RbdsrError | undefined {
  const isUnread = errnoOf(outcome) === 'EIO' || KEYRING_FAILED.test(outcome.stderr);
  if (type === 'aes' || !isUnread) return undefined;
  return new RbdsrError('cluster-incompatible', {
    what: `the key of client.${user} is of type ${type}, which the program ${program} of this host does not know`,
    expected:
      'a key of type aes, 40 characters that begin with AQ, or the programs of Ceph 19.2.6, 20.2.4, 21.2 or later',
    todo: `On a monitor, \`ceph auth rotate --key-type aes client.${user}\` gives this user another key, which all who use it need then; docs/ceph-keys.md has what the cluster must allow for it.`,
    facts: { user, keyType: type },
  });
}

/** Captured: ceph 16.2.15, which exits with 1; rbd exits with EIO. */
const KEYRING_FAILED = /^\[errno 5\] RADOS I\/O error \(error connecting to the cluster\)$/m;

/** Captured: ceph 16.2.15. Who is not let in is told of "RADOS permission denied" instead. */
const REFUSED_COMMAND = /^Error EACCES: /m;

/**
 * The rbd tool takes `/` and `@` in a name apart and would act on another image; the kernel does not. Refused, naming
 * the character.
 */
export function refuseUnspeakable(name: string, part: 'pool' | 'image'): void {
  const [character] = /[/@\0]/.exec(name) ?? [];
  if (character === undefined && name !== '') return;
  throw new RbdsrError('control-plane-failed', {
    what: `the rbd tool cannot be told of the ${part} ${JSON.stringify(printable(name))}`,
    expected: `a name without / and @`,
    found: character === undefined ? 'an empty name' : JSON.stringify(character),
    todo: 'Such an image can be mapped, but not listed, created or resized by RBDSR.',
    facts: { errno: 'EINVAL' },
  });
}

/**
 * The last lines of stderr without what librados and librbd log there: `2026-11-24T08:58:58.772+0000 7f3b624931c0 -1
 * ...`.
 */
export function withoutNoise(stderr: string): string {
  return stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+\S*\s+[0-9a-f]{8,}\s/.test(line))
    .slice(-3)
    .join('; ');
}
