import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Log } from '../base/log.ts';

/**
 * A Log that appends to the storage manager's log file as syslog would write there: `Nov 24 08:26:18 host RBDSR: [123]
 * message`, local time, one write per line, so that lines of several processes never mix. Control characters are
 * escaped. Nothing is written while `noLogFlag` exists, and a log that cannot be written never stops a command. Opens
 * the file anew for each line, for logrotate may move it.
 */
export function createSmLog(path: string, identity: string, noLogFlag = '/etc/xensource/no_sm_log'): Log {
  const write = (level: string, message: string): void => {
    if (!existsSync(noLogFlag)) append(path, smLogLine(new Date(), identity, `${level}${message}`));
  };
  return {
    debug: (message) => write('', message),
    info: (message) => write('', message),
    warn: (message) => write('WARNING: ', message),
    error: (message) => write('ERROR: ', message),
  };
}

export function smLogLine(now: Date, identity: string, message: string): string {
  const day = String(now.getDate()).padStart(2, ' ');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map((part) => String(part).padStart(2, '0'));
  const stamp = `${MONTHS[now.getMonth()]} ${day} ${time.join(':')}`;
  return `${stamp} ${hostname().split('.')[0]} ${identity}: [${process.pid}] ${escaped(message)}\n`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Line breaks and other control characters as `\n` and `\x1b`. */
function escaped(message: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  return message.trimEnd().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    if (character === '\n') return '\\n';
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}

function append(path: string, line: string): void {
  try {
    const fd = openSync(path, 'a', 0o600);
    try {
      writeSync(fd, line);
    } finally {
      closeSync(fd);
    }
  } catch {
    // There is nowhere else to say so: stderr belongs to the caller.
  }
}
