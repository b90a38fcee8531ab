/**
 * How `rbd` or `ceph` is run as root on a monitor's host: one remote command that finds the program, runs it directly
 * for root, by `sudo -n` where sudo asks for nothing, and else by `sudo -S`, which reads the password from stdin.
 * Everything that varies is an argument. With `part` stdout is only that range of it, in base64 (and ends early what
 * writes more), and the program's code is the last line of stderr.
 */
export function remoteArgv(
  program: 'rbd' | 'ceph',
  args: readonly string[],
  password: boolean,
  part?: OutputRange,
): readonly string[] {
  const range = part === undefined ? ['0', 'all'] : [String(part.offset), String(part.length)];
  return ['sh', '-c', SCRIPT, 'rbdsr', password ? 'password' : 'none', ...range, program, ...args];
}

/** Bytes. */
export interface OutputRange {
  readonly offset: number;
  readonly length: number;
}

/** What the script exits with when it could not start the program; the programs' own codes are errnos, far below. */
export const SCRIPT_EXIT = { noProgram: 201, cephadm: 202, noSudo: 203 } as const;

/** What the script itself said, and the program's stdout after it. */
export interface ScriptOutput {
  readonly stdout: string;
  /** There is a file where the programs look for the key of client.admin, unless a ceph.conf names another place. */
  readonly keyring: boolean;
}

/**
 * Takes the output of a remote command apart. Before the script's first line stands whatever the account's login shell
 * prints by itself. Undefined where the script did not run at all: a forced command, a login shell that only says
 * goodbye.
 */
export function scriptOutput(output: string): ScriptOutput | undefined {
  const found = /^rbdsr-begin (keyring|no-keyring)\n/m.exec(output);
  if (found === null) return undefined;
  return { stdout: output.slice(found.index + found[0].length), keyring: found[1] === 'keyring' };
}

/** The program's own exit code, where only a range of its output was wanted; undefined where it is not told. */
export function codeOfRange(stderr: string): number | undefined {
  const [, code] = CODE_LINE.exec(stderr) ?? [];
  return code === undefined ? undefined : Number(code);
}

/** What the program itself said. */
export function withoutCode(stderr: string): string {
  return stderr.replace(CODE_LINE, '');
}

const CODE_LINE = /(?<=^|\n)rbdsr-code ([0-9]+)\n$/;

/**
 * cephadm keeps the tools in containers and leaves units behind that name the cluster. `said` is sudo's and the
 * program's stderr; file descriptor 3 carries stdout past the capture of it.
 */
const SCRIPT = `export LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ask=$1 offset=$2 length=$3 name=$4
shift 4
keyring=no-keyring
for file in ceph.client.admin.keyring ceph.keyring keyring; do [ -e "/etc/ceph/$file" ] && keyring=keyring; done
echo "rbdsr-begin $keyring"
tool=$(command -v "$name") || {
  command -v cephadm >/dev/null 2>&1 && exit ${SCRIPT_EXIT.cephadm}
  for unit in /etc/systemd/system/ceph-*@.service; do [ -e "$unit" ] && exit ${SCRIPT_EXIT.cephadm}; done
  exit ${SCRIPT_EXIT.noProgram}
}
run() {
  [ "$(id -u)" = 0 ] && exec "$tool" "$@" </dev/null
  sudo=$(command -v sudo) || exit ${SCRIPT_EXIT.noSudo}
  exec 3>&1
  said=$("$sudo" -n -- "$tool" "$@" 2>&1 >&3 3>&- </dev/null)
  code=$?
  exec 3>&-
  case "$code $ask $said" in
  "1 password "*"password is required"*) exec "$sudo" -S -p "" -- "$tool" "$@" ;;
  esac
  printf "%s\\n" "$said" >&2
  exit $code
}
[ "$length" != all ] || run "$@"
{ (run "$@"); echo "rbdsr-code $?" >&2; } | tail -c +"$((offset + 1))" | head -c "$length" | base64
`;
