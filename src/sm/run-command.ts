import { RbdsrError } from '../base/error.ts';
import { nowMs } from '../base/now.ts';
import type { Log } from '../base/log.ts';
import type { CallDirectory } from '../system/call-directory.ts';
import { setProcessTitle } from '../system/process-title.ts';
import { createSmLog } from '../system/sm-log.ts';
import { encodeResponse } from '../xmlrpc/encode.ts';
import { answerInTime } from './answer-in-time.ts';
import { checkRequest, type Command, findCommand } from './commands.ts';
import { describeFailure, faultDocument, faultOf } from './protocol/fault.ts';
import type { Handler } from './handler.ts';
import { type HostProfile, hostPaths } from '../dom0/host-profile.ts';
import { deadlineSeconds } from '../dom0/host-settings.ts';
import { thisHost } from '../dom0/this-host.ts';
import { LateAnswer, ownDeadline } from './late-answer.ts';
import { type Driver, rbdDriver } from './driver.ts';
import { openWork } from '../sr/work/open-work.ts';
import type { Reply } from './protocol/reply.ts';
import { decodeRequest, type SmRequest, summarise } from './protocol/request.ts';

export interface Surroundings {
  /** Prefix of every path of the host; empty on a real one. */
  readonly root: string;
  /** Where the launcher waits for the answer; undefined when there is no launcher. */
  readonly callDirectory: CallDirectory | undefined;
  /** The driver that xapi has called; that of type `rbd` where it does not say. */
  readonly driver?: Driver;
}

/** What the process prints. A failure is a fault document; the process ends with 0 all the same. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** The SM number of a failure. */
  readonly faultCode?: number;
}

/**
 * One SM command from its request to its answer; never throws. After a success every lock is released. After a failure,
 * and when the launcher answers, stock's locks of the SR are let go and the others stay with the process until it ends,
 * which it does when nothing it has started is left: what a cluster that does not answer still holds up may then land,
 * but alone (answer-in-time.ts).
 */
export async function runCommand(argv: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const started = nowMs();
  const state: Progress = {};
  try {
    const reply = await carryOut(argv, surroundings, state);
    state.log?.info(`${title(state)}: done in ${elapsed(started)}`);
    if (reply.fault !== undefined) {
      return { stdout: faultDocument(reply.fault), stderr: reply.stderr ?? '', faultCode: reply.fault.faultCode };
    }
    return { stdout: encodeResponse(reply.value), stderr: reply.stderr ?? '' };
  } catch (error) {
    const fault = faultOf(error, state);
    state.log?.error(
      `${title(state)}: failed in ${elapsed(started)} with ${fault.faultCode}: ${describeFailure(error)}`,
    );
    return { stdout: faultDocument(fault), stderr: '', faultCode: fault.faultCode };
  }
}

/** How far the command has come: what its error needs to become a fault. */
interface Progress {
  request?: SmRequest;
  command?: Command;
  profile?: HostProfile;
  log?: Log;
}

async function carryOut(argv: readonly string[], surroundings: Surroundings, state: Progress): Promise<Reply> {
  const { root, callDirectory, driver = rbdDriver } = surroundings;
  const paths = hostPaths(root, '');
  const log = createSmLog(paths.smLog, 'RBDSR', paths.noLogFlag);
  state.log = log;
  const request = decodeRequest(argv);
  state.request = request;
  const command = commandOf(request);
  state.command = command;
  setProcessTitle(`rbdsr sm ${request.command}`);
  // What it announces to xapi depends on no setting but the profile's, and xapi forgets a driver that does not answer.
  const odd = request.command === 'sr_get_driver_info' ? ignored(log) : undefined;
  const { settings, profile } = thisHost(root, odd);
  state.profile = profile;
  checkRequest(request, command);

  const seconds = deadlineSeconds(settings, request.command, command.deadlineSeconds);
  const document = (error: RbdsrError): string => faultDocument(faultOf(error, state));
  const late = new LateAnswer(callDirectory, document, request.command, seconds);
  const waiting = (what: string): void => late.waitingFor(what);
  const { work, resources } = openWork({
    subject: request,
    session: request.session,
    subtaskOf: request.subtaskOf,
    title: request.command,
    profile,
    settings,
    deadline: ownDeadline(seconds),
    log,
    waiting,
  });
  return answerInTime(resources, seconds, async () => {
    if (command.exclusive) await resources.lockOwnSr();
    else if (command.changes) await resources.awaitLateWriters();
    const own = driver.handlers[request.command];
    const handler = own === undefined ? await handlerOf(command) : await own();
    return handler({ ...work, request, srType: driver.type });
  });
}

function ignored(log: Log): (problem: RbdsrError) => void {
  return ({ message }) => log.warn(`ignored: ${message}`);
}

function commandOf(request: SmRequest): Command {
  const command = findCommand(request.command);
  if (command !== undefined) return command;
  throw new RbdsrError('unknown-command', {
    what: 'the command is not one of the storage manager protocol',
    found: JSON.stringify(request.command.slice(0, 80)),
  });
}

async function handlerOf(command: Command): Promise<Handler> {
  if (command.load !== undefined) return command.load();
  const { unimplemented } = await import('./handlers/unimplemented.ts');
  return unimplemented(command.why ?? 'It is not written yet.');
}

function title({ request }: Progress): string {
  return request === undefined ? 'request not understood' : summarise(request);
}

function elapsed(started: number): string {
  return `${((nowMs() - started) / 1000).toFixed(3)} s`;
}
