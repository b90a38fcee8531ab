import { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { CallDirectory } from '../system/call-directory.ts';
import { setProcessTitle } from '../system/process-title.ts';
import { createSmLog } from '../system/sm-log.ts';
import { encodeResponse } from '../xmlrpc/encode.ts';
import { CallResources } from './call-resources.ts';
import { checkRequest } from './check-request.ts';
import type { Command } from './command-table.ts';
import { findCommand } from './commands.ts';
import { describeFailure, faultDocument, faultOf } from './fault.ts';
import type { Handler, SmCall } from './handler.ts';
import { detectProfile, type HostProfile, hostPaths } from './host-profile.ts';
import { readHostSettings } from './host-settings.ts';
import { readInventory } from './inventory.ts';
import { LateAnswer } from './late-answer.ts';
import type { Reply } from './reply.ts';
import { decodeRequest, type SmRequest } from './request.ts';
import { summarise } from './request-summary.ts';

export interface Surroundings {
  /** Prefix of every path of the host; empty on a real one. */
  readonly root: string;
  /** Where the launcher waits for the answer; undefined when there is no launcher. */
  readonly callDirectory: CallDirectory | undefined;
}

/** What the process prints. A failure is a fault document; the process ends with 0 all the same. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** The SM number of a failure. */
  readonly faultCode?: number;
}

/**
 * One SM command from its request to its answer; never throws. After a success every lock is released. After a failure the locks stay
 * with the process until it ends, which it does when nothing it has started is left: what a cluster that does not answer still holds up
 * may then land, but alone.
 */
export async function runCommand(argv: readonly string[], surroundings: Surroundings): Promise<Outcome> {
  const started = performance.now();
  const state: Progress = {};
  try {
    const reply = await carryOut(argv, surroundings, state);
    state.log?.info(`${title(state)}: done in ${elapsed(started)}`);
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
  const { root, callDirectory } = surroundings;
  const paths = hostPaths(root, '');
  const log = createSmLog(paths.smLog, 'RBDSR', paths.noLogFlag);
  state.log = log;
  const request = decodeRequest(argv);
  state.request = request;
  const command = commandOf(request);
  state.command = command;
  setProcessTitle(`rbdsr sm ${request.command}`);
  const settings = readHostSettings(paths.settings);
  const profile = detectProfile(settings, readInventory(paths.inventory), root);
  state.profile = profile;
  checkRequest(request, command);

  const seconds = deadlineSeconds(request.command, command, settings);
  const late = new LateAnswer(callDirectory, state, request.command, seconds);
  const deadline = Deadline.after(Math.max(0, ownDeadlineMs(seconds) - performance.now()));
  const resources = new CallResources({ request, profile, deadline, waiting: (what) => late.waitingFor(what) });
  try {
    if (command.exclusive) await resources.lockOwnSr();
    const handler = await handlerOf(command);
    const call: SmCall = {
      request,
      profile,
      settings,
      deadline,
      log,
      waiting: (what) => late.waitingFor(what),
      xapi: () => resources.xapi(),
      lockSr: (sr, options) => resources.lockSr(sr, options),
      lockVdi: (vdi, options) => resources.lock(vdi, 'vdi', options),
      lock: (namespace, name, options) => resources.lock(namespace, name, options),
    };
    const reply = await handler(call);
    await resources.releaseLocks();
    return reply;
  } finally {
    await resources.closeXapi();
  }
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

/** The launcher's deadline: the host's setting for this command, for all commands, or the table's. */
function deadlineSeconds(
  name: string,
  command: Command,
  settings: { readonly deadlineSeconds?: number; readonly commandDeadlineSeconds: Readonly<Record<string, number>> },
): number {
  return settings.commandDeadlineSeconds[name] ?? settings.deadlineSeconds ?? command.deadlineSeconds;
}

/** Our own errors say more than the launcher's, so ours come a little earlier: a tenth, at most 5 s. */
function ownDeadlineMs(seconds: number): number {
  return 1000 * (seconds - Math.min(5, seconds / 10));
}

function title({ request }: Progress): string {
  return request === undefined ? 'request not understood' : summarise(request);
}

function elapsed(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(3)} s`;
}
