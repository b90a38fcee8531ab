import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { mayStillRun } from '../../../src/sm/master-plugin.ts';
import { xapiFailure } from '../../../src/xapi/failure.ts';

const reported = (...description: readonly string[]) => xapiFailure('host.call_plugin', description, []);

test.each([
  ['the plug-in is not there', reported('XENAPI_MISSING_PLUGIN', 'rbdsr'), false],
  ['it is older', reported('UNKNOWN_XENAPI_PLUGIN_FUNCTION', 'deflate'), false],
  ['it says what is wrong', reported('XENAPI_PLUGIN_FAILURE', 'deflate', 'lock-busy', 'held by | somebody'), false],
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
