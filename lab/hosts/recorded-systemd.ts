import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PROJECT_ROOT } from '../machine/project.ts';

/** Begins the line that a stand-in notes down for a call that nothing was recorded of. */
export const UNRECORDED = 'UNRECORDED';

export interface SystemdTranscript {
  readonly version: string;
  readonly how: string;
  readonly calls: readonly {
    readonly state: string;
    /** With the program's name. */
    readonly argv: string;
    readonly exit: number;
    readonly stdout: string;
    readonly stderr: string;
    /** Where it was read, of a version that was not run. */
    readonly source?: string;
  }[];
}

/** A version in test/fixtures/systemd. */
export function systemdTranscript(version: string): SystemdTranscript {
  return JSON.parse(readFileSync(join(PROJECT_ROOT, `test/fixtures/systemd/${version}.json`), 'utf8'));
}

/**
 * A script in the place of systemctl or udevadm, at `path` of a host that is a folder: notes down each call in `log`,
 * and answers it as it was recorded in the first of these states that has it. Any other ends with 99. `stateFile`, of
 * the host, names the state to look in before these.
 */
export function recordedSystemd(
  path: string,
  o: {
    readonly states: readonly string[];
    readonly log: string;
    readonly version?: string;
    readonly named?: true;
    readonly stateFile?: string;
  },
): string {
  const { calls } = systemdTranscript(o.version ?? '252');
  const program = basename(path);
  const ours = calls.filter(({ argv }) => argv.startsWith(`${program} `));
  const rows = o.states.flatMap((state) => ours.filter((row) => row.state === state));
  if (rows.length === 0) throw new Error(`${program} was not recorded when ${o.states.join(', ')}`);
  const branch = (word: string, { exit, stdout, stderr }: Row): string =>
    `${quoted(word)}) printf %s ${quoted(stdout)}; printf %s ${quoted(stderr)} >&2; exit ${exit} ;;`;
  const asked = ({ argv }: Row): string => argv.slice(program.length + 1);
  const named = ours.map((row) => branch(`${row.state}: ${asked(row)}`, row)).join('\n');
  return `#!/bin/sh
root="\${0%${path}}"
log="$root${o.log}"
echo "${o.named === true ? `${program} ` : ''}$*" >>"$log"
${o.stateFile === undefined ? '' : `case "$(cat "$root${o.stateFile}"): $*" in\n${named}\nesac`}
case "$*" in
${rows.map((row) => branch(asked(row), row)).join('\n')}
esac
echo "${UNRECORDED} ${program} $*" | tee -a "$log" >&2
exit 99
`;
}

type Row = SystemdTranscript['calls'][number];

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
