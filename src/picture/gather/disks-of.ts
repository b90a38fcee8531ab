import type { BlockIo } from '../../base/block-io.ts';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { srUuid } from '../../base/ids.ts';
import { silentLog } from '../../base/log.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { srOfVg } from '../../lvhd/names.ts';
import { readDeviceReport } from '../../lvm/device-report.ts';
import type { VgReport } from '../../lvm/report.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { openWork } from '../../sr/work/open-work.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import type { Disks } from '../disks.ts';
import { boundedIo } from './bounded-io.ts';
import { readDisksOn } from './read-disks.ts';

/** What is to be looked at: an SR that this host has attached, or a device or file. */
export type SrToRead = { readonly sr: string } | { readonly device: string };

/** One read; a placement group that does not answer costs its disks this long. */
const READ_MS = 10_000;
/** At most. */
const LOOKS = 3;

/**
 * The disks, by LVM for an SR that is attached, without it for a device. Runs in a process of its own, which the kernel
 * may keep (start-reading.ts).
 */
export async function disksOf(root: string, what: SrToRead, deadline: Deadline): Promise<Disks> {
  return 'sr' in what ? ofAttached(root, what.sr, deadline) : ofDevice(what.device, deadline);
}

async function ofAttached(root: string, sr: string, deadline: Deadline): Promise<Disks> {
  const { settings, profile } = thisHost(root, () => undefined);
  // Without a reference of xapi's, so that LVM only reads.
  const { work } = openWork({
    subject: { srUuid: srUuid(sr), srMaster: false },
    title: 'looking at an SR',
    profile,
    settings,
    deadline,
    log: silentLog,
    waiting: () => {},
  });
  const attached = await openAttachedSr(work);
  const pv = await attached.openPv('read');
  try {
    return await settledDisks(
      async () => groupOf(attached, await attached.lvm.report()),
      boundedIo(pv, deadline, READ_MS),
      deadline,
    );
  } finally {
    void pv.close();
  }
}

async function ofDevice(device: string, deadline: Deadline): Promise<Disks> {
  const pv = await openBlockIo(device, 'read');
  try {
    const io = boundedIo(pv, deadline, READ_MS);
    return await settledDisks(async () => refuseOtherGroup(device, await readDeviceReport(io)), io, deadline);
  } finally {
    void pv.close();
  }
}

/** No lock is taken, so that nobody waits for who looks: what changed meanwhile is looked at again. */
async function settledDisks(report: () => Promise<VgReport>, pv: BlockIo, deadline: Deadline): Promise<Disks> {
  let before = await report();
  for (let look = 1; ; look += 1) {
    const disks = await readDisksOn(before, pv);
    // What has been read by then counts, and what has not says so itself.
    if (deadline.expired) return { ...disks, unsettled: false };
    const after = await report();
    const unsettled = JSON.stringify(before) !== JSON.stringify(after);
    if (!unsettled || look === LOOKS) return { ...disks, unsettled };
    before = after;
  }
}

function groupOf({ uuid, vg, mapping }: AttachedSr, report: VgReport | undefined): VgReport {
  if (report !== undefined) return report;
  throw new RbdsrError('sr-unavailable', { what: `SR ${uuid} has no volume group ${vg} on ${mapping.device}` });
}

function refuseOtherGroup(device: string, report: VgReport): VgReport {
  if (srOfVg(report.name) !== undefined) return report;
  throw new RbdsrError('sr-unavailable', {
    what: `${device} holds no SR`,
    expected: 'a volume group VG_XenStorage-<sr uuid>',
    found: `the volume group ${report.name}`,
  });
}
