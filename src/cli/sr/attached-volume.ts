import { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { SrUuid } from '../../base/ids.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import { readVdiNodes } from '../../lvhd/lv-table.ts';
import { MGT_LV, vgName } from '../../lvhd/names.ts';
import { extentIo } from '../../lvm/extents.ts';
import { Lvm } from '../../lvm/lvm.ts';
import { lvNamed } from '../../lvm/report.ts';
import { readAttachedRecord } from '../../sr/attached-record.ts';
import { hostPaths } from '../../dom0/host-profile.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import type { CliCall } from '../cli-call.ts';
import { namesFromXapi } from './mgt-names.ts';
import type { RebuildSources } from './rebuild-sources.ts';
import { withSrLock } from './sr-lock.ts';

const COMMAND_MS = 300_000;

/**
 * The metadata volume of an SR that is attached on this host, its disks and xapi's names, under the SR's lock.
 * 'sr-unavailable' where it is not attached; 'lock-busy' at once where a command holds the lock; 'not-master' where
 * another host may write it. The volume is reached through its extents, so it needs not be active.
 */
export async function withAttachedVolume(
  call: CliCall,
  uuid: SrUuid,
  readOnly: boolean,
  work: (sources: RebuildSources) => Promise<number>,
): Promise<number> {
  const deadline = Deadline.after(COMMAND_MS);
  const paths = hostPaths(call.root, '');
  const device = deviceOf(call, uuid);
  return withSrLock(paths, uuid, deadline, async () => {
    const xapi = await namesFromXapi(call.root, uuid, deadline);
    // One report, which only reads: it needs no lock of the host around it.
    const lvm = new Lvm({ device, vg: vgName(uuid), writable: false, serialise: () => undefined, deadline });
    const report = await lvm.report();
    const lv = lvNamed(report, MGT_LV);
    if (report === undefined || report.partial || lv === undefined) {
      throw new RbdsrError('lvm-missing', {
        what: `SR ${uuid} has no metadata volume on ${device}`,
        todo: 'Unplug and plug its PBD on the pool master: sr_attach makes one.',
      });
    }
    const pv = await openBlockIo(device, readOnly ? 'read' : 'write');
    try {
      return await work({ mgt: extentIo(pv, lv), nodes: await readVdiNodes(report, pv), allNodes: true, xapi });
    } finally {
      await pv.close();
    }
  });
}

function deviceOf(call: CliCall, uuid: SrUuid): string {
  const record = readAttachedRecord(hostPaths(call.root, ''), uuid);
  const krbd = krbdAt(call.root);
  const mapping = record === undefined ? undefined : krbd.find(record.spec, record.fsid);
  if (mapping !== undefined) return mapping.device;
  throw new RbdsrError('sr-unavailable', {
    what: `SR ${uuid} is not attached on this host`,
    ...(record === undefined ? {} : { found: `${formatSpec(record.spec)} is not mapped` }),
    todo: 'Plug its PBD on the pool master, or name a copy of its metadata volume: --device FILE.',
  });
}
