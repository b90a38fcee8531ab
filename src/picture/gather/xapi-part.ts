import type { SrUuid } from '../../base/ids.ts';
import { readKept } from '../../access/kept-keys.ts';
import { withLocalXapi } from '../../access/driver-srs.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import type { Xapi } from '../../xapi/client.ts';
import { allHosts, type HostRecord } from '../../xapi/host.ts';
import { allPbds, type PbdRecord } from '../../xapi/pbd.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { srByUuid, srRecord, type SrRecord } from '../../xapi/sr.ts';
import { type VdiRecord, vdisOfSr } from '../../xapi/vdi.ts';
import type { PluggedHost, RecordedKeys, RecordedVdi, XapiPart } from '../picture.ts';

/** What the local xapi has recorded of the SR; it is asked, and told nothing. 'xapi-unreachable' | 'xapi-failure'. */
export function xapiPartOf(root: string, sr: SrUuid, ms: number): Promise<XapiPart> {
  return withLocalXapi(root, (xapi, thisHostRef) => asked(xapi, thisHostRef, sr), ms);
}

async function asked(xapi: Xapi, thisHostRef: string, uuid: SrUuid): Promise<XapiPart> {
  const ref = await srByUuid(xapi, uuid);
  const sr = await srRecord(xapi, ref);
  const vdis = await vdisOfSr(xapi, ref);
  const hosts = await allHosts(xapi);
  const pbds = (await allPbds(xapi)).filter((pbd) => pbd.sr === ref);
  const master = await poolMaster(xapi);
  const allocation = sr.smConfig['allocation'];
  return {
    nameLabel: sr.nameLabel,
    type: sr.type,
    ...(allocation === undefined ? {} : { allocation }),
    hosts: pbds.map((pbd) => pluggedHost(pbd, hosts, thisHostRef, master)),
    vdis: vdis.map((vdi) => recordedVdi(vdi, hosts)),
    keys: keysOf(sr, pbds),
  };
}

function pluggedHost(pbd: PbdRecord, hosts: readonly HostRecord[], thisHostRef: string, master: string): PluggedHost {
  const host = hosts.find(({ ref }) => ref === pbd.host);
  return {
    uuid: host?.uuid ?? '',
    name: host?.nameLabel ?? pbd.host,
    plugged: pbd.currentlyAttached,
    isThis: pbd.host === thisHostRef,
    isMaster: pbd.host === master,
  };
}

function recordedVdi(vdi: VdiRecord, hosts: readonly HostRecord[]): RecordedVdi {
  const { uuid, nameLabel, type, managed, readOnly, isASnapshot, virtualSize: virtualBytes, smConfig } = vdi;
  const marks = activeHosts(smConfig).map((ref) => markOf(ref, smConfig[`host_${ref}`] ?? '', hosts));
  return { uuid, nameLabel, type, managed, readOnly, isASnapshot, virtualBytes, marks };
}

function markOf(ref: string, mode: string, hosts: readonly HostRecord[]): RecordedVdi['marks'][number] {
  const host = hosts.find((one) => one.ref === ref)?.nameLabel;
  return host === undefined ? { ref, mode } : { ref, host, mode };
}

/** Of type rbd the user stands in device_config, of a diverted SR in SR.sm_config. */
function keysOf(sr: SrRecord, pbds: readonly PbdRecord[]): RecordedKeys {
  const kept = readKept(sr.smConfig);
  const user = kept?.user ?? (sr.type === 'rbd' ? pbds[0]?.deviceConfig['user'] : undefined);
  const monitors = kept?.monitors ?? (sr.type === 'rbd' ? pbds[0]?.deviceConfig['monitors'] : undefined);
  return {
    ...(user === undefined ? {} : { user }),
    formerUsers: kept?.formerUsers ?? [],
    ...(monitors === undefined ? {} : { monitors }),
  };
}
