import { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { SrUuid } from '../../base/ids.ts';
import { silentLog } from '../../base/log.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { readVdiNodes } from '../../lvhd/lv-table.ts';
import { cbtLogs } from '../../lvhd/cbt-log.ts';
import { MGT_LV } from '../../lvhd/names.ts';
import { extentIo } from '../../lvm/extents.ts';
import { lvNamed } from '../../lvm/report.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { openWork } from '../../sr/work/open-work.ts';
import type { CliCall } from '../cli-call.ts';
import { namesFromXapi } from './mgt-names.ts';
import type { RebuildSources } from './rebuild-sources.ts';
import { withSrLock } from '../../sr/work/sr-lock.ts';

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
  rebuild: (sources: RebuildSources) => Promise<number>,
): Promise<number> {
  const deadline = Deadline.after(COMMAND_MS);
  const sr = await attachedHere(call.root, uuid, deadline);
  return withSrLock(thisHost(call.root).profile.paths, uuid, deadline, async () => {
    const xapi = await namesFromXapi(call.root, uuid, deadline);
    const report = await sr.lvm.report();
    const lv = lvNamed(report, MGT_LV);
    if (report === undefined || report.partial || lv === undefined) {
      throw new RbdsrError('lvm-missing', {
        what: `SR ${uuid} has no metadata volume on ${sr.mapping.device}`,
        todo: 'Unplug and plug its PBD on the pool master: sr_attach makes one.',
      });
    }
    const pv = await sr.openPv(readOnly ? 'read' : 'write');
    try {
      const nodes = await readVdiNodes(report, pv);
      return await rebuild({ mgt: extentIo(pv, lv), nodes, allNodes: true, logs: cbtLogs(report), xapi });
    } finally {
      await pv.close();
    }
  });
}

/** Without a reference of xapi's in its subject, so that LVM only reads. */
async function attachedHere(root: string, uuid: SrUuid, deadline: Deadline): Promise<AttachedSr> {
  const { settings, profile } = thisHost(root);
  const { work } = openWork({
    subject: { srUuid: uuid, srMaster: false },
    title: 'mgt rebuild',
    profile,
    settings,
    deadline,
    log: silentLog,
    waiting: () => {},
  });
  try {
    return await openAttachedSr(work);
  } catch (error) {
    if (!hasCode(error, 'sr-unavailable')) throw error;
    throw new RbdsrError('sr-unavailable', {
      ...error.detail,
      todo: 'Plug its PBD on the pool master, or name a copy of its metadata volume: --device FILE.',
    });
  }
}
