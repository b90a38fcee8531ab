import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cephTranscript } from './recorded-ceph.ts';

/**
 * A `ceph` of 19.2.6 and later in front of an older cluster: it knows types of keys as `src/mon/MonMap.cc` prints them,
 * and makes and refuses them as test/fixtures/ceph-tools has it. Everything else is the older cluster's own doing. No
 * cluster of these versions was run.
 */
export class CephOfToday {
  /** What stands at /usr/bin/ceph; the real program is /usr/bin/ceph-real. */
  readonly program: string;
  readonly #allowed: string;
  readonly #calls: string;

  /** The folder can be reached by root of the monitor's host. */
  constructor(folder: string) {
    this.#allowed = join(folder, 'allowed-ciphers');
    this.#calls = join(folder, 'ceph-calls');
    this.program = script(this.#allowed, this.#calls);
    this.allow('aes', 'aes256k');
  }

  /** `ceph mon set auth_allowed_ciphers`; forgets the calls. */
  allow(...types: readonly string[]): void {
    writeFileSync(this.#allowed, `${types.join(' ')}\n`);
    writeFileSync(this.#calls, '');
  }

  /** Since `allow`. */
  get calls(): readonly string[] {
    return readFileSync(this.#calls, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }
}

/** What 19.2.6 says to `ceph auth get-or-create`, in that state. */
function answer(state: string, keyType: string): { readonly stdout: string; readonly stderr: string } {
  const begin = `ceph auth get-or-create ${keyType}`;
  const row = cephTranscript('19.2.6').calls.find((call) => call.state === state && call.argv.startsWith(begin));
  if (row === undefined) throw new Error(`nothing is known of ${begin} when ${state}`);
  return row;
}

function script(allowed: string, calls: string): string {
  const refusal = answer('aes is not allowed', '--key-type aes').stderr.trim().replace('"aes"', '\\"$4\\"');
  const [made] = JSON.parse(answer('no user', 'client.').stdout) as { readonly key: string }[];
  return SCRIPT.replaceAll('ALLOWED', allowed)
    .replaceAll('CALLS', calls)
    .replaceAll('REFUSAL', () => refusal)
    .replaceAll('KEY', made?.key ?? '');
}

const SCRIPT = `#!/bin/sh
echo "$*" >>CALLS
read -r allowed <ALLOWED
case "$*" in
"mon dump "*)
  list=
  for type in $allowed; do list="$list,{\\"name\\":\\"$type\\"}"; done
  new="\\"name\\":\\"aes256k\\",\\"value\\":2"
  types="\\"auth_service_cipher\\":{$new},\\"auth_allowed_ciphers\\":[\${list#,}],\\"auth_preferred_cipher\\":{$new}"
  /usr/bin/ceph-real "$@" | sed "s/^{/{$types,/"
  ;;
"auth get-or-create --key-type "*)
  case " $allowed " in
  *" $4 "*) ;;
  *) echo "REFUSAL" >&2; exit 22 ;;
  esac
  [ "$4" = aes ] || exit 22
  shift 4
  exec /usr/bin/ceph-real auth get-or-create "$@"
  ;;
"auth get-or-create "*)
  /usr/bin/ceph-real "$@" | sed 's|"key":"[^"]*"|"key":"KEY"|'
  ;;
*) exec /usr/bin/ceph-real "$@" ;;
esac
`;
