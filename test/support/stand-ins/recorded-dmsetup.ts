import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One call of dmsetup, of a device `VG-x`. */
export interface DmsetupCall {
  /** Of the device: `none`, `free`, `open`. */
  readonly state: string;
  readonly argv: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const FIXTURE = join(import.meta.dirname, '../../fixtures/dmsetup/1.02.185.json');

/** As device-mapper's own tool answered on a host of the lab (test/lab/scenarios/host-basics.ts). */
export function dmsetupTranscript(): { readonly version: string; readonly calls: readonly DmsetupCall[] } {
  return JSON.parse(readFileSync(FIXTURE, 'utf8'));
}

export interface DmsetupStandIn {
  /** Notes down each call. */
  readonly log: string;
  /** Of the device at each call; the last for all that follow. */
  readonly states: readonly string[];
  /** What it is made of, in the place of the recorded one's. */
  readonly table?: string;
  /** A shell command: the kernel forgets the device. */
  readonly gone?: string;
}

/** A script in the place of dmsetup, asked of one device. A call without a row ends with 99, and is in the log. */
export function dmsetupScript({ log, states, table, gone = ':' }: DmsetupStandIn): string {
  const counted = states.map((state, at) => `${at === states.length - 1 ? '*' : at}) state=${state} ;;`);
  const rows = dmsetupTranscript().calls.map(({ state, argv, exit, stdout, stderr }) => {
    const said = argv.startsWith('table') && exit === 0 && table !== undefined ? `${table}\n` : stdout;
    const then = argv.startsWith('remove') && exit === 0 ? `${gone}; ` : '';
    return `${quoted(`${state}: ${argv}`)}) printf %s ${quoted(said)}; printf %s ${quoted(stderr)} >&2; ${then}exit ${exit} ;;`;
  });
  return `#!/bin/sh
log=${quoted(log)}
[ -e "$log" ] || : >"$log"
case $(wc -l <"$log") in ${counted.join(' ')} esac
echo "$*" >>"$log"
case "$state: \${*% *} VG-x" in
${rows.join('\n')}
esac
echo "UNRECORDED when $state: $*" | tee -a "$log" >&2
exit 99
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
