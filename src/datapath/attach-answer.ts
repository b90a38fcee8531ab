import type { DiskId, MemoryPool } from './datapath.ts';
import type { DataPathHost } from './datapath-host.ts';
import { linksOf } from './links.ts';

/** Which members a host version's xapi gets; the row `attachResult` of a host profile. */
export interface AttachAnswerShape {
  readonly params: boolean;
  readonly paramsNbd: 'absent' | 'plain' | 'exportname';
  readonly oDirect: boolean;
}

export type AttachAnswer = Readonly<Record<string, string | boolean | Readonly<Record<string, string>>>>;

/**
 * Why reads are not cached: LVHD always says the SR type cannot, unless the licence already forbids it (sm
 * `blktap2.py`).
 */
export type NoCacheReason = 'SR_NOT_SUPPORTED' | 'LICENSE_RESTRICTION';

/**
 * What vdi_attach returns: names only; they exist from vdi_activate on. `params_nbd` is empty where the host has no NBD
 * links.
 */
export function attachAnswer(
  host: DataPathHost & { readonly attachResult: AttachAnswerShape },
  disk: DiskId,
  options: { readonly noCacheReason: NoCacheReason; readonly memoryPool?: MemoryPool },
): AttachAnswer {
  const shape = host.attachResult;
  const links = linksOf(host, disk);
  return {
    ...(shape.params && links.backend !== undefined ? { params: links.backend } : {}),
    ...(shape.paramsNbd === 'absent' ? {} : { params_nbd: nbdUri(shape.paramsNbd, links.nbd, disk.vdi) }),
    ...(shape.oDirect ? { o_direct: true, o_direct_reason: options.noCacheReason } : {}),
    xenstore_data: xenstoreData(disk.vdi, host.datapath.kernelNodes ? options.memoryPool : undefined),
  };
}

function nbdUri(style: 'plain' | 'exportname', link: string | undefined, vdi: string): string {
  if (link === undefined) return '';
  return style === 'plain' ? `nbd:unix:${link}` : `nbd:unix:${link}:exportname=${vdi}`;
}

function xenstoreData(vdi: string, pool: MemoryPool | undefined): Record<string, string> {
  return {
    'scsi/0x12/0x80': serialNumberPage(vdi).toString('base64'),
    'scsi/0x12/0x83': identificationPage(vdi).toString('base64'),
    'vdi-uuid': vdi,
    ...(pool === undefined ? {} : { 'mem-pool': pool.name }),
    ...(pool?.pages === undefined ? {} : { 'mem-pool-size': String(pool.pages) }),
  };
}

/**
 * SCSI inquiry page 0x80, unit serial number (SPC-3 7.6.10), as sm `scsiutil.gen_uid_page80` has it: 18 bytes after a
 * header of 4.
 */
function serialNumberPage(vdi: string): Buffer {
  return Buffer.from(`\x00\x80\x00\x12${vdi.slice(0, 16)}  `, 'latin1');
}

/** SCSI inquiry page 0x83, device identification (SPC-3 7.6.3): one T10 vendor designator of 45 bytes in ASCII. */
function identificationPage(vdi: string): Buffer {
  return Buffer.from(`\x00\x83\x00\x31\x02\x01\x00\x2dXENSRC  ${vdi} `, 'latin1');
}
