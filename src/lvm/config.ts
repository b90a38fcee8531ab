import { RbdsrError } from '../base/error.ts';
import { dirname } from 'node:path';

/**
 * The whole LVM configuration of one command, for `--config`. The host's lvm.conf stays as it is: it must not look into
 * guests' volume groups, and ours must see one device and nothing else. Keys a version does not know are ignored
 * (`config/checks` off silences the warning that 2.02.98 and later print for them; older ones never check). Keys:
 * lvm.conf(5) and `lvmconfig --typeconfig list`.
 *
 * - `types`: LVM before 2.02.99 does not know block devices of driver "rbd".
 * - `filter` and `global_filter`: exactly this node. The second is what lvmetad-era versions apply.
 * - `cache_file_prefix`: 2.02 trusts `/etc/lvm/cache/.cache` of the host's own filter, in which our device is missing.
 * - component detection off: it reads the ends of every device; what is on ours was surveyed before.
 * - `locking_type=1`: local file locks, also where a host's lvm.conf asks for read-only or cluster locking.
 * - `wipe_signatures_when_zeroing_new_lvs`: what `lvcreate -W n` says, for versions that have no -W.
 * - `metadata_read_only` unless `writable`: only the SR master's writing commands may change metadata. LVM 2.03.16
 *   ignores it, so the class `Lvm` refuses by itself as well.
 */
export function lvmConfig(options: { readonly device: string; readonly writable: boolean }): string {
  const accept = `["a|^${deviceExpression(options.device)}$|","r|.*|"]`;
  const sections: Record<string, readonly string[]> = {
    config: ['checks=0'],
    devices: [
      `scan=["${dirname(options.device)}"]`,
      'types=["rbd",16]',
      `filter=${accept}`,
      `global_filter=${accept}`,
      'use_devicesfile=0',
      'obtain_device_list_from_udev=0',
      'external_device_info_source="none"',
      'cache_file_prefix="rbdsr"',
      'write_cache_state=0',
      'multipath_component_detection=0',
      'md_component_detection=0',
    ],
    global: [
      'locking_type=1',
      'use_lvmetad=0',
      'use_lvmpolld=0',
      'use_lvmlockd=0',
      `metadata_read_only=${options.writable ? 0 : 1}`,
    ],
    allocation: ['wipe_signatures_when_zeroing_new_lvs=0'],
    backup: ['backup=0', 'archive=0'],
  };
  return Object.entries(sections)
    .map(([name, settings]) => `${name}{${settings.join(' ')}}`)
    .join(' ');
}

/**
 * The node's path as an LVM regular expression that matches it and nothing longer; only `.` is special among the
 * characters allowed.
 */
function deviceExpression(device: string): string {
  if (!/^\/[A-Za-z0-9_.:/-]+$/.test(device)) {
    throw new RbdsrError('invalid-argument', {
      what: 'the device node has a name that an LVM filter cannot hold',
      expected: 'an absolute path of letters, digits and _ . : / -',
      found: JSON.stringify(device),
    });
  }
  return device.replaceAll('.', '[.]');
}
