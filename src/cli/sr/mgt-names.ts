import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { RebuildInput } from '../../lvhd/metadata/rebuild.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { metadataOfVdi } from '../../sr/metadata-of-vdi.ts';
import { loginXapi, type Xapi } from '../../xapi/client.ts';
import { hostByUuid } from '../../xapi/host.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { srByUuid, srRecord } from '../../xapi/sr.ts';
import { vdisOfSr } from '../../xapi/vdi.ts';

/**
 * xapi's word on an SR and its disks. 'not-master' on a host that may not write the metadata of a shared SR; an xapi
 * that does not answer is an error too, for without it nobody knows which host may.
 */
export async function namesFromXapi(
  root: string,
  uuid: string,
  deadline: Deadline,
): Promise<NonNullable<RebuildInput['xapi']>> {
  const { inventory, profile } = thisHost(root);
  const xapi = await loginXapi({ socketPath: profile.paths.xapiSocket, deadline });
  try {
    const ref = await srByUuid(xapi, uuid);
    const sr = await srRecord(xapi, ref);
    if (sr.shared) await mustBeMaster(xapi, inventory.hostUuid);
    const allocation = sr.smConfig['allocation'];
    const vdis = await vdisOfSr(xapi, ref);
    return {
      sr: {
        nameLabel: sr.nameLabel,
        nameDescription: sr.nameDescription,
        ...(allocation === 'thick' || allocation === 'thin' ? { allocation } : {}),
      },
      vdis: vdis.map((vdi) => metadataOfVdi(vdi, vdi.smConfig['vdi_type'] ?? 'vhd', vdis)),
    };
  } finally {
    await xapi.logout();
  }
}

async function mustBeMaster(xapi: Xapi, hostUuid: string): Promise<void> {
  if ((await hostByUuid(xapi, hostUuid)) === (await poolMaster(xapi))) return;
  throw new RbdsrError('not-master', {
    what: 'the metadata of a shared SR is written by the pool master',
    todo: 'Run this there.',
  });
}
