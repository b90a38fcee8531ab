import { readFileSync } from 'node:fs';
import { RbdsrError } from '../base/error.ts';

/** What an administrator may set for one host in `/etc/rbdsr/rbdsr.conf`; the file and every key may be absent. */
export interface HostSettings {
  /** `profile = 8.2`: the row of the host table to use instead of the one detected. */
  readonly profile?: string;
  /** `datapath = nbd`: how guests reach a disk instead of the host version's own way. */
  readonly datapath?: 'tapdisk' | 'nbd';
  /** `deadline = 60` (all commands) in seconds. */
  readonly deadlineSeconds?: number;
  /** `deadline.sr_scan = 300` (one command) in seconds. */
  readonly commandDeadlineSeconds: Readonly<Record<string, number>>;
  /** `collect = by-hand`: no command starts a collector. */
  readonly collect?: 'by-itself' | 'by-hand';
  /** `ssh_port = 22`: where monitors listen for SSH. */
  readonly sshPort?: number;
}

const KEYS = 'profile, datapath, deadline, deadline.<command>, ssh_port, collect';

export function readHostSettings(path: string, odd?: (problem: RbdsrError) => void): HostSettings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return parseHostSettings('', path, odd);
    throw error;
  }
  return parseHostSettings(text, path, odd);
}

/**
 * The launcher's deadline for a command, or a function of the plug-in: its own setting, that for all of them, or
 * `usual`.
 */
export function deadlineSeconds(settings: HostSettings, name: string, usual: number): number {
  return settings.commandDeadlineSeconds[name] ?? settings.deadlineSeconds ?? usual;
}

/**
 * Lines of `key = value`; `#` starts a comment. An unknown key or a bad value is refused, naming the line; with `odd`
 * it is handed over there and counts as absent.
 */
export function parseHostSettings(text: string, path: string, odd?: (problem: RbdsrError) => void): HostSettings {
  const found: Settable = { commandDeadlineSeconds: Object.create(null) as Record<string, number> };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim();
    if (line === '') continue;
    try {
      readLine(line, `${path} line ${index + 1}`, found);
    } catch (error) {
      if (odd === undefined || !(error instanceof RbdsrError)) throw error;
      odd(error);
    }
  }
  return found;
}

interface Settable extends HostSettings {
  profile?: string;
  datapath?: 'tapdisk' | 'nbd';
  deadlineSeconds?: number;
  sshPort?: number;
  collect?: 'by-itself' | 'by-hand';
  readonly commandDeadlineSeconds: Record<string, number>;
}

function readLine(line: string, where: string, found: Settable): void {
  const [, key, value] = /^([a-z0-9_.]+)\s*=\s*(\S+)$/.exec(line) ?? [];
  if (key === undefined || value === undefined) throw invalid(where, '"key = value"', line);
  if (key === 'profile') found.profile = value;
  else if (key === 'datapath') found.datapath = oneOf(where, value, ['tapdisk', 'nbd']);
  else if (key === 'collect') found.collect = oneOf(where, value, ['by-itself', 'by-hand']);
  else if (key === 'ssh_port') found.sshPort = port(where, value);
  else if (key === 'deadline') found.deadlineSeconds = seconds(where, value);
  else if (key.startsWith('deadline.')) {
    found.commandDeadlineSeconds[key.slice('deadline.'.length)] = seconds(where, value);
  } else throw invalid(where, `one of ${KEYS}`, key);
}

function oneOf<Choice extends string>(where: string, value: string, choices: readonly Choice[]): Choice {
  const chosen = choices.find((choice) => choice === value);
  if (chosen !== undefined) return chosen;
  throw invalid(where, choices.join(' or '), value);
}

function seconds(where: string, value: string): number {
  if (/^[1-9][0-9]{0,4}$/.test(value)) return Number(value);
  throw invalid(where, 'whole seconds from 1 to 99999', value);
}

function port(where: string, value: string): number {
  const number = /^[0-9]{1,5}$/.test(value) ? Number(value) : 0;
  if (number >= 1 && number <= 65_535) return number;
  throw invalid(where, 'a port from 1 to 65535', value);
}

function invalid(where: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: `${where} is not understood`,
    expected,
    found: JSON.stringify(found),
  });
}
