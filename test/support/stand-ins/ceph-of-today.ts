import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A `ceph` of 19.2.6 and later in front of an older cluster: it knows types of keys as `src/mon/MonMap.cc` prints them
 * and `src/mon/AuthMonitor.cc` refuses them. Everything else is the older cluster's own doing. No cluster of these
 * versions was run.
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
    this.program = SCRIPT.replaceAll('ALLOWED', this.#allowed).replaceAll('CALLS', this.#calls);
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
  *) echo "Error EINVAL: creating key with insecure key type (\\"$4\\") not allowed" >&2; exit 22 ;;
  esac
  [ "$4" = aes ] || exit 22
  shift 4
  exec /usr/bin/ceph-real auth get-or-create "$@"
  ;;
"auth get-or-create "*)
  /usr/bin/ceph-real "$@" | sed 's|"key":"[^"]*"|"key":"AgAApRhqAAAAACAAlZeqKydRvjCx8UhcLcEG5kBDY46sZetkukFzRJE6x8I="|'
  ;;
*) exec /usr/bin/ceph-real "$@" ;;
esac
`;
