import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { formatMonitor, formatMonitors } from './monitors.ts';
import type { MonitorAddress } from './monitors.ts';

/** What was heard at one monitor's address. */
export interface MonitorAnswer {
  readonly monitor: MonitorAddress;
  /**
   * `silent`: it accepts connections but says nothing, as a frozen daemon does; `foreign`: something that is no Ceph
   * daemon.
   */
  readonly state: 'msgr1' | 'msgr2' | 'silent' | 'foreign' | 'unreachable';
  /** An errno for `unreachable`, the first bytes for `foreign`. */
  readonly detail?: string;
}

/**
 * Listens for the banner each monitor sends to whoever connects, before any authentication: "ceph v027" for msgr v1
 * (ceph `src/include/msgr.h`), "ceph v2\n" for msgr v2 (`src/msg/async/ProtocolV2.cc`). All at once. Once one has
 * answered the others get only a moment more, so that a dead monitor does not slow an attach. Only for commands that
 * are about to map an image or look for one.
 */
export async function surveyMonitors(
  monitors: readonly MonitorAddress[],
  deadline: Deadline,
): Promise<readonly MonitorAnswer[]> {
  const answers = new Map<MonitorAddress, MonitorAnswer>();
  const giveUp = new AbortController();
  let oneAnswered = (): void => {};
  const first = new Promise<void>((resolve) => {
    oneAnswered = resolve;
  });
  const all = Promise.all(
    monitors.map(async (monitor) => {
      const answer = await listen(monitor, deadline.within(ANSWER_MS).leftMs, giveUp.signal);
      answers.set(monitor, answer);
      if (answer.state === 'msgr1' || answer.state === 'msgr2') oneAnswered();
    }),
  );
  await Promise.race([all, first.then(() => pause(GRACE_MS))]);
  giveUp.abort();
  await all;
  return monitors.map((monitor) => answers.get(monitor) ?? { monitor, state: 'unreachable' });
}

/** 'monitor-unreachable', with what was heard at each address. */
export function noMonitorAnswers(answers: readonly MonitorAnswer[]): RbdsrError {
  const states = answers.map(({ monitor, state, detail }) => `${formatMonitor(monitor)} ${describe(state, detail)}`);
  const foreign = answers.every(({ state }) => state === 'foreign');
  return new RbdsrError('monitor-unreachable', {
    what: foreign ? 'what answers at the addresses of the monitors is not Ceph' : 'no Ceph monitor answers',
    expected: `a monitor at ${formatMonitors(answers.map(({ monitor }) => monitor))}`,
    found: states.join('; '),
    todo: 'Check the addresses and ports, that the monitors run, and that a firewall lets this host reach them.',
    facts: { monitors: answers.map(({ monitor, state }) => `${formatMonitor(monitor)}=${state}`).join(',') },
  });
}

/** What one monitor may take to accept and to speak. */
const ANSWER_MS = 5000;
/** What the others get after the first answer. */
const GRACE_MS = 250;

function listen(monitor: MonitorAddress, timeoutMs: number, giveUp: AbortSignal): Promise<MonitorAnswer> {
  let resolve = (_answer: MonitorAnswer): void => {};
  const promise = new Promise<MonitorAnswer>((settle) => {
    resolve = settle;
  });
  const socket = connect({ host: monitor.host, port: monitor.port });
  let heard = Buffer.alloc(0);
  let connected = false;
  const end = (state: MonitorAnswer['state'], detail?: string): void => {
    clearTimeout(timer);
    giveUp.removeEventListener('abort', late);
    socket.destroy();
    resolve({ monitor, state, ...(detail === undefined ? {} : { detail }) });
  };
  const late = (): void => {
    if (heard.length > 0) end('foreign', firstBytes(heard));
    else end(connected ? 'silent' : 'unreachable', connected ? undefined : 'no answer');
  };
  const timer = setTimeout(late, timeoutMs);
  giveUp.addEventListener('abort', late);
  socket.on('connect', () => {
    connected = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (heard.length > 0) end('foreign', firstBytes(heard));
    else end(connected ? 'silent' : 'unreachable', error.code ?? error.message);
  });
  socket.on('close', () =>
    end(heard.length > 0 ? 'foreign' : 'silent', heard.length > 0 ? firstBytes(heard) : 'closed'),
  );
  socket.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data]);
    const state = protocolOf(heard);
    if (state !== undefined) end(state, state === 'foreign' ? firstBytes(heard) : undefined);
  });
  return promise;
}

/** Undefined while more bytes are needed. */
function protocolOf(heard: Buffer): 'msgr1' | 'msgr2' | 'foreign' | undefined {
  const text = heard.toString('latin1');
  if (text.startsWith('ceph v2\n')) return 'msgr2';
  if (/^ceph v0[0-9]{2}/.test(text)) return 'msgr1';
  return text.length < 'ceph v027'.length && 'ceph v'.startsWith(text.slice(0, 6)) ? undefined : 'foreign';
}

function firstBytes(heard: Buffer): string {
  return JSON.stringify(heard.subarray(0, 24).toString('latin1'));
}

function describe(state: MonitorAnswer['state'], detail: string | undefined): string {
  const words = {
    msgr1: 'answers (msgr v1)',
    msgr2: 'answers (msgr v2)',
    silent: 'accepts connections but says nothing',
    foreign: 'is not Ceph',
    unreachable: 'does not answer',
  };
  return detail === undefined ? words[state] : `${words[state]} (${detail})`;
}
