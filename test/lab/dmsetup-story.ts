import type { Host } from '../../lab/hosts/host.ts';
import type { DmsetupCall } from '../support/stand-ins/recorded-dmsetup.ts';

/** What a volume looks like to device-mapper; VG-x is one of 8192 sectors over /dev/loop, from sector 2048 on. */
const PREPARE = `
truncate -s 16M /run/dm.img; loop=$(losetup --find --show /run/dm.img)
make() { echo "0 8192 linear $loop 2048" | dmsetup create VG-x; dmsetup mknodes VG-x; udevadm settle; }
end() { exec 3<&-; dmsetup remove --force --retry VG-x >/dev/null 2>&1 || true; }
hold() { exec 3</dev/mapper/VG-x; }
ask() {
  state=$1; shift
  "$@" >/run/dm.out 2>/run/dm.err && code=0 || code=$?
  printf '%s\\0%s\\0%s\\0' "$state" "$*" "$code"
  cat /run/dm.out; printf '\\0'; cat /run/dm.err; printf '\\0'
}
info() { ask "$1" dmsetup info -c --noheadings -o open VG-x; }
`;

const STORY = `
ask none dmsetup table VG-x; info none
for more in '' --force --noudevsync; do ask none dmsetup remove $more VG-x; done
make; ask free dmsetup table VG-x; info free
for more in '' --force --noudevsync; do ask free dmsetup remove $more VG-x; make; done
hold; info open
for more in '' --noudevsync --force; do ask open dmsetup remove $more VG-x; done
end
losetup --detach $loop; rm /run/dm.img
`;

/** What the host's dmsetup answers to each of our calls: of a device that is not there, there, and open. */
export async function recordDmsetup(host: Host): Promise<readonly DmsetupCall[]> {
  const words = (await host.shell(`{ ${PREPARE}${STORY}} </dev/null`)).split('\0');
  const rows: DmsetupCall[] = [];
  for (let at = 0; at + 5 <= words.length; at += 5) {
    const [state = '', argv = '', exit = '', stdout = '', stderr = ''] = words.slice(at, at + 5);
    rows.push({
      state,
      argv: argv.replaceAll(/ +/g, ' ').slice('dmsetup '.length),
      exit: Number(exit),
      stdout,
      stderr,
    });
  }
  return rows;
}
