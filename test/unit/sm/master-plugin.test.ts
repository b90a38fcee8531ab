import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { awaitLateWriters } from '../../../src/sr/work/late-writers.ts';
import { mayStillRun } from '../../../src/sr/hosts/master-plugin.ts';
import { xapiFailure } from '../../../src/xapi/failure.ts';
import { OtherHolder } from '../../support/stock-locks.ts';

const SR = srUuid('5a1c7f00-1111-4222-8333-0123456789ab');

const reported = (...description: readonly string[]) => xapiFailure('host.call_plugin', description, []);

/** What a host with a late writer says, in its own words. */
async function lateWriterError(): Promise<unknown> {
  const runDir = mkdtempSync(join(tmpdir(), 'rbdsr-late-'));
  await using _late = await OtherHolder.of(join(runDir, `late/${SR}.lock`), 'shared');
  const waiting = awaitLateWriters({ runDir }, SR, { wait: false, deadline: Deadline.after(0) });
  const error: unknown = await waiting.catch((reason: unknown) => reason);
  rmSync(runDir, { recursive: true });
  return error;
}

test.each([
  ['the plug-in is not there', reported('XENAPI_MISSING_PLUGIN', 'rbdsr'), false],
  ['it is older', reported('UNKNOWN_XENAPI_PLUGIN_FUNCTION', 'deflate'), false],
  ['it says what is wrong', reported('XENAPI_PLUGIN_FAILURE', 'deflate', 'lock-busy', 'held by | somebody'), false],
  [
    'an earlier call still works there',
    reported('XENAPI_PLUGIN_FAILURE', 'deflate', 'lock-busy', String(await lateWriterError())),
    true,
  ],
  ['it ran out of time', reported('XENAPI_PLUGIN_FAILURE', 'deflate', 'deadline', 'waited'), true],
  ['its OSDs do not answer', reported('XENAPI_PLUGIN_FAILURE', 'deflate', 'osd-unresponsive', 'x'), true],
  ['it was killed', reported('XENAPI_PLUGIN_FAILURE', 'non-zero exit', '', '', 'Killed'), true],
  ['nobody waited for it', new RbdsrError('deadline', { what: 'waited for xapi' }), true],
  ['xapi has gone meanwhile', new RbdsrError('xapi-unreachable', { what: 'no answer' }), true],
  ['LVM refused here', new RbdsrError('lvm-resize', { what: 'no' }), false],
  ['LVM did not answer here', new RbdsrError('deadline', { what: 'lvm lvreduce did not answer' }), true],
])('%s: whether it may still come to be', (_what, error, expected) => {
  expect(mayStillRun(error)).toBe(expected);
});
