import { Deadline } from '../../base/deadline.ts';
import { messageOf } from '../../base/error.ts';
import { runFailure } from '../../system/run.ts';
import { decodeResponse } from '../../xmlrpc/decode.ts';
import { encodeCall } from '../../xmlrpc/encode.ts';
import { isStruct } from '../../xmlrpc/value.ts';
import type { Finding } from '../changing/finding.ts';
import { DIVERTED_ENTRY, type Host, PRODUCT, SM_DIR } from '../host.ts';
import { isOwnContent } from '../changing/own-content.ts';
import { SM_PACKAGE } from '../sm-package.ts';

/** Whether the stock iSCSI driver answers through an entry of ours. */
export async function proveStock(host: Host): Promise<readonly Finding[]> {
  if (!isOwnContent(host, DIVERTED_ENTRY)) return [];
  const part = 'divert';
  const problem = await stockProblem(host);
  if (problem === undefined)
    return [{ part, path: DIVERTED_ENTRY, state: 'ok', what: 'reaches the stock iSCSI driver' }];
  return [
    {
      part,
      path: DIVERTED_ENTRY,
      state: 'changed',
      what: `does not reach the stock iSCSI driver: ${problem}`,
      todo: `rbdsr repair; where that does not help, reinstall ${SM_PACKAGE}, then rbdsr repair`,
    },
  ];
}

/**
 * Asks the entry what xapi asks every driver at its start, which changes nothing. Why it does not answer; undefined
 * where it does.
 */
export async function stockProblem(host: Host): Promise<string | undefined> {
  const places = host.root === '' ? {} : { RBDSR_HOME: host.at(PRODUCT), RBDSR_SM: host.at(SM_DIR) };
  const env = { PYTHONDONTWRITEBYTECODE: '1', ...places };
  const outcome = await host.run(DIVERTED_ENTRY, [REQUEST], Deadline.after(ANSWER_MS), env);
  if (outcome === undefined) return 'it leads nowhere';
  if (outcome.end.kind !== 'exit' || outcome.end.code !== 0) return runFailure({ ...outcome, args: [] }).message;
  try {
    const answer = decodeResponse(outcome.stdout);
    if ('fault' in answer) return answer.fault.faultString;
    return isStruct(answer.value) && 'capabilities' in answer.value ? undefined : 'it answers with something else';
  } catch (error) {
    return `its answer cannot be read: ${messageOf(error)}`;
  }
}

/** Python and its modules from a cold disk, while the host boots. */
const ANSWER_MS = 30_000;

/** Without a device_config, and so without a port. */
const REQUEST = encodeCall('sr_get_driver_info', [
  { host_ref: '', command: 'sr_get_driver_info', args: [], device_config: {} },
]);
