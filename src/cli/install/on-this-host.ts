import { RbdsrError } from '../../base/error.ts';
import { errnoName } from '../../system/errno-name.ts';
import type { CliCall } from '../cli-call.ts';

/**
 * Runs a command that looks at, or changes, the files of a host: as root alone, and what its file systems do not let it
 * do is said in a sentence. 'io'
 */
export async function onThisHost(call: CliCall, command: (call: CliCall) => Promise<number>): Promise<number> {
  requireRoot();
  try {
    return await command(call);
  } catch (error) {
    throw fileSystemError(error) ?? error;
  }
}

/** Most of what it looks at only root can read. */
function requireRoot(): void {
  const uid = process.geteuid?.();
  if (uid === 0) return;
  throw new RbdsrError('io', {
    what: 'only root can do this',
    expected: 'user 0',
    found: `user ${uid}`,
    todo: 'Run it as root. Nothing was changed.',
  });
}

/** Undefined for what is a defect of ours. */
function fileSystemError(error: unknown): RbdsrError | undefined {
  const reason = REASONS[errnoName(error) ?? ''];
  if (reason === undefined) return undefined;
  const { path, dest } = error as NodeJS.ErrnoException & { readonly dest?: string };
  return new RbdsrError('io', {
    what: `${dest ?? path ?? 'a file'} cannot be written`,
    expected: reason.expected,
    found: `${reason.found} (${errnoName(error)})`,
    todo: reason.todo,
    cause: error,
  });
}

/** What an administrator can do something about. */
const REASONS: Readonly<Record<string, { readonly expected: string; readonly found: string; readonly todo: string }>> =
  {
    ENOSPC: {
      expected: 'room for a few hundred KiB',
      found: 'a full file system',
      todo: 'Make room (df -h, df -i) and run it again.',
    },
    EDQUOT: { expected: 'room for a few hundred KiB', found: 'a used up quota', todo: 'Make room and run it again.' },
    EROFS: {
      expected: 'a file system that can be written',
      found: 'a read-only one',
      todo: 'See in dmesg why it is read-only; run it again once it is not.',
    },
    EACCES: {
      expected: 'that root may do so',
      found: 'that it may not',
      todo: 'Look at its mode and at mandatory access rules.',
    },
    EPERM: {
      expected: 'that root may do so',
      found: 'that it may not',
      todo: 'Look for attributes of the file (lsattr).',
    },
    EIO: { expected: 'a working disk', found: 'an error of the disk', todo: 'See dmesg.' },
  };
