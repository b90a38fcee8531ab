import { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { srUuid } from '../base/ids.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import { type KeptKeys, readKept } from './kept-keys.ts';
import { hostPaths } from '../dom0/host-profile.ts';
import { ensureDir } from '../system/files.ts';
import { takeRecordLock } from '../system/locks/record-lock.ts';
import type { Xapi } from '../xapi/client.ts';
import { allPbds, type PbdRecord } from '../xapi/pbd.ts';
import { allSrs, type SrRecord } from '../xapi/sr.ts';
import { isDriverSr, specOf, withLocalXapi } from './driver-srs.ts';

/** An SR of this pool that RBDSR drives, and all its PBDs. */
export interface PoolSr {
  readonly sr: SrRecord;
  readonly pbds: readonly PbdRecord[];
  /** SR type rbd has everything in its PBDs' device_config, a diverted SR in SR.sm_config. */
  readonly kind: 'rbd' | 'diverted';
  /** Diverted SRs only. */
  readonly kept?: KeptKeys;
  readonly spec?: ImageSpec;
}

/**
 * Runs `work` on the SR, alone on this host: 'lock-busy' at once where another command changes the same SR's access.
 * `ms` is what all of it may take.
 */
export async function withPoolSr<T>(
  root: string,
  uuid: string,
  ms: number,
  work: (xapi: Xapi, sr: PoolSr, deadline: Deadline) => Promise<T>,
): Promise<T> {
  const deadline = Deadline.after(ms);
  const folder = `${hostPaths(root, '').lockDir}/${srUuid(uuid)}`;
  ensureDir(folder, 0o755);
  await using _lock = await takeRecordLock(`${folder}/rbdsr-access`, { wait: false, deadline });
  return await withLocalXapi(root, async (xapi) => work(xapi, await poolSr(xapi, uuid), deadline), ms);
}

/** 'bad-request' for what is no uuid, 'config-invalid' where the pool has no such SR or another driver has it. */
export async function poolSr(xapi: Xapi, uuid: string): Promise<PoolSr> {
  const wanted = srUuid(uuid);
  const sr = (await allSrs(xapi)).find((record) => record.uuid === wanted);
  if (sr === undefined) {
    throw new RbdsrError('config-invalid', {
      what: `this pool has no SR ${wanted}`,
      expected: 'the uuid of one of its SRs',
      todo: '`xe sr-list` shows them.',
    });
  }
  const pbds = (await allPbds(xapi)).filter((pbd) => pbd.sr === sr.ref);
  const kept = sr.type === 'rbd' ? undefined : readKept(sr.smConfig);
  if (kept === undefined && !pbds.some((pbd) => isDriverSr(sr, pbd))) throw notOurs(sr, pbds);
  const spec = pbds.map((pbd) => specOf(sr, pbd)).find((found) => found !== undefined);
  return {
    sr,
    pbds,
    kind: sr.type === 'rbd' ? 'rbd' : 'diverted',
    ...(kept === undefined ? {} : { kept }),
    ...(spec === undefined ? {} : { spec }),
  };
}

function notOurs(sr: SrRecord, pbds: readonly PbdRecord[]): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: `SR ${sr.uuid} is none of RBDSR's`,
    expected: 'SR type rbd, or lvmoiscsi with port 6789',
    found: pbds.length === 0 ? `type ${sr.type}, without a PBD` : `type ${sr.type}`,
    ...(pbds.length === 0 ? { todo: 'Create its PBDs first (xe pbd-create).' } : {}),
  });
}
