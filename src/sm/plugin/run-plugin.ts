import { RbdsrError } from '../../base/error.ts';
import { srUuid, vdiUuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { setProcessTitle } from '../../system/process-title.ts';
import { createSmLog } from '../../system/sm-log.ts';
import { hostByUuid } from '../../xapi/host.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { srByUuid } from '../../xapi/sr.ts';
import { answerInTime } from '../answer-in-time.ts';
import { describeFailure } from '../protocol/fault.ts';
import { hostPaths } from '../../dom0/host-profile.ts';
import { deadlineSeconds } from '../../dom0/host-settings.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { LateAnswer, ownDeadline } from '../late-answer.ts';
import { openWork } from '../../sr/work/open-work.ts';
import type { Outcome, Surroundings } from '../run-command.ts';
import { failureDocument, successDocument } from './plugin-answer.ts';
import { PLUGIN_FUNCTIONS } from './plugin-functions.ts';
import { argument, decodePluginRequest, type PluginRequest } from './plugin-request.ts';

/**
 * One call of the host plug-in from its request to its answer; never throws. Locks: as run-command.ts has them.
 */
export async function runPlugin(
  argv: readonly string[],
  surroundings: Surroundings & { readonly version: string },
): Promise<Outcome> {
  const paths = hostPaths(surroundings.root, '');
  const log = createSmLog(paths.smLog, 'RBDSR plugin', paths.noLogFlag);
  let fn = 'unknown';
  try {
    const request = decodePluginRequest(argv);
    fn = request.fn;
    const answer = await carryOut(request, surroundings, log);
    log.info(`${title(request)}: ${answer}`);
    return { stdout: successDocument(answer), stderr: '' };
  } catch (error) {
    log.error(`${fn} failed: ${describeFailure(error)}`);
    return { stdout: failureDocument(fn, error), stderr: '' };
  }
}

async function carryOut(
  request: PluginRequest,
  { root, callDirectory, version }: Surroundings & { readonly version: string },
  log: Log,
): Promise<string> {
  const { fn, args } = request;
  const known = PLUGIN_FUNCTIONS.get(fn);
  if (known === undefined && !ABOUT_HOST.includes(fn)) {
    throw new RbdsrError('unknown-command', { what: 'the plug-in has no such function', found: fn });
  }
  setProcessTitle(`rbdsr plugin ${fn}`);
  const { settings, inventory, profile } = thisHost(root);
  const seconds = deadlineSeconds(settings, `plugin_${fn}`, known?.deadlineSeconds ?? 30);
  const late = new LateAnswer(callDirectory, (error) => failureDocument(fn, error), `plug-in function ${fn}`, seconds);
  const { work, resources } = openWork({
    subject: { srMaster: false },
    session: request.session,
    title: `plugin ${fn}`,
    profile,
    settings,
    deadline: ownDeadline(seconds),
    log,
    waiting: (what) => late.waitingFor(what),
  });
  return answerInTime(resources, seconds, async () => {
    work.waiting('xapi to say which host this is');
    const xapi = await work.xapi();
    // Also what proves the session: xapi answers nothing to one that it does not know.
    const hostRef = await hostByUuid(xapi, inventory.hostUuid);
    if (fn === 'cephx_users') return JSON.stringify((await import('../../access/cephx-users.ts')).cephxUsersOf(root));
    if (known === undefined) return version;
    if (known.masterOnly && hostRef !== (await poolMaster(xapi))) throw notMaster(fn);
    const sr = srUuid(argument(args, fn, 'sr_uuid'));
    const vdi = vdiUuid(argument(args, fn, 'vdi_uuid'));
    const srRef = await srByUuid(xapi, sr);
    const subject = { srMaster: known.masterOnly, hostRef, srUuid: sr, srRef, vdiUuid: vdi };
    if (known.changes) await resources.awaitLateWriters(sr);
    return (await known.load())({ ...work, subject, sr, vdi, args });
  });
}

/** Functions that are about no disk. */
const ABOUT_HOST: readonly string[] = ['version', 'cephx_users'];

function notMaster(fn: string): RbdsrError {
  return new RbdsrError('not-master', {
    what: `the plug-in function ${fn} was called on a host that is not the pool master`,
    todo: 'Another host has become the master meanwhile; try again.',
  });
}

function title({ fn, args }: PluginRequest): string {
  return [fn, ...['sr_uuid', 'vdi_uuid'].flatMap((name) => args[name] ?? [])].join(' ');
}
