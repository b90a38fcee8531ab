import { Deadline } from '../../base/deadline.ts';
import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import { srUuid } from '../../base/ids.ts';
import { withSrControlPlane } from '../../access/sr-control-plane.ts';
import type { AllocatedPart, ControlPlane } from '../../ceph/control/control-plane.ts';
import { formatSpec, type ImageSpec } from '../../ceph/image/image-spec.ts';
import { hostPaths } from '../../dom0/host-profile.ts';
import { srOfVg } from '../../lvhd/names.ts';
import { readAttachedRecord } from '../../sr/attached-record.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import type { Disks } from '../disks.ts';
import { heldInCeph } from '../held-in-ceph.ts';
import type { ClusterPart, HostPart, MissingPart, Picture, PlaceOfSr, XapiPart } from '../picture.ts';
import { hostPartOf } from './host-part.ts';
import { readDisksApart } from './read-apart.ts';
import { xapiPartOf } from './xapi-part.ts';

export interface GatherRequest {
  /** Prefix of the host's paths. */
  readonly root: string;
  /** How the process that reads disks is started (read-apart.ts). */
  readonly reader: readonly string[];
  readonly sr?: string;
  /** A device or a file that holds the SR, instead of the attached one: then host and xapi are not asked. */
  readonly device?: string;
  /** What the cluster is asked (access/sr-control-plane.ts). */
  readonly ask: 'nothing' | 'watchers' | 'watchers and objects';
  /** For all of it. */
  readonly ms: number;
}

/**
 * The one look at an SR that everything shown is drawn from. Nothing is written, activated or locked, and it answers by
 * the deadline whoever does not. 'sr-unavailable' where the SR is not attached here; 'invalid-argument' where the
 * device is another SR's. A device that cannot be read throws why.
 */
export async function gatherPicture(request: GatherRequest): Promise<Picture> {
  const deadline = Deadline.after(request.ms);
  return request.device === undefined
    ? gatherAttached(request, deadline)
    : gatherDevice(request, request.device, deadline);
}

async function gatherDevice({ reader, sr }: GatherRequest, device: string, deadline: Deadline): Promise<Picture> {
  const disks = await readDisksApart(reader, { device }, deadline);
  const found = srOfVg(disks.vg.name);
  if (found === undefined || (sr !== undefined && srUuid(sr) !== found)) {
    throw new RbdsrError('invalid-argument', {
      what: `${device} holds another SR`,
      ...(sr === undefined ? {} : { expected: sr }),
      found: disks.vg.name,
    });
  }
  const why = 'a device or a file was named: no host and no pool is asked';
  const missing = (['host', 'xapi'] as const).map((part): MissingPart => ({ part, why, wanted: false }));
  return { ...begun(found, { kind: 'device', device }), disks, missing };
}

async function gatherAttached({ root, reader, sr, ms, ask }: GatherRequest, deadline: Deadline): Promise<Picture> {
  if (sr === undefined) {
    throw new RbdsrError('invalid-argument', {
      what: 'it is not said which SR',
      expected: 'its uuid, or --device with what holds it',
    });
  }
  const uuid = srUuid(sr);
  const paths = hostPaths(root, '');
  const record = readAttachedRecord(paths, uuid);
  const mapping = record === undefined ? undefined : krbdAt(root).find(record.spec, record.fsid);
  if (record === undefined || mapping === undefined) throw notHere(uuid, record !== undefined);
  const missing: MissingPart[] = [];
  const orMissing = async <T>(part: MissingPart['part'], asking: Promise<T>): Promise<T | undefined> => {
    try {
      return await asking;
    } catch (error) {
      if (!(error instanceof RbdsrError)) throw error;
      missing.push({
        part,
        why: messageOf(error),
        wanted: !hasCode(error, 'control-plane-missing', 'cluster-incompatible'),
      });
      return undefined;
    }
  };
  const said = (): Promise<SaidByCluster> =>
    deadline.race(
      withSrControlPlane(root, uuid, mapping.monitors, deadline, async (plane) => ({
        watchers: await plane.watchers(record.spec, deadline),
        ...(await orMissing('pool', imageAndPool(plane, record.spec, deadline))),
        ...(ask === 'watchers' ? {} : { parts: await plane.allocated(record.spec, deadline) }),
      })),
      'the cluster to tell of the image',
    );
  const [disks, xapi, asked] = await Promise.all([
    orMissing<Disks>('disks', readDisksApart(reader, { sr: uuid }, deadline)),
    orMissing<XapiPart>('xapi', deadline.race(xapiPartOf(root, uuid, ms / 2), 'xapi to answer')),
    ask === 'nothing' ? undefined : orMissing('cluster', said()),
  ]);
  const active = disks?.volumes.filter((lv) => lv.active).map(({ name }) => name) ?? [];
  const host: HostPart = hostPartOf(paths, uuid, record.spec, active, deadline);
  const place: PlaceOfSr = {
    kind: 'attached',
    device: mapping.device,
    image: formatSpec(record.spec),
    ...(mapping.fsid === undefined ? {} : { fsid: mapping.fsid }),
  };
  return {
    ...begun(uuid, place),
    ...(disks === undefined ? {} : { disks }),
    host,
    ...(xapi === undefined ? {} : { xapi }),
    ...(asked === undefined ? {} : { cluster: clusterPart(asked, disks) }),
    missing,
  };
}

interface SaidByCluster extends Omit<ClusterPart, 'held'> {
  readonly parts?: readonly AllocatedPart[];
}

async function imageAndPool(
  plane: ControlPlane,
  spec: ImageSpec,
  deadline: Deadline,
): Promise<Pick<ClusterPart, 'image' | 'pool'>> {
  const image = await plane.imageInfo(spec, deadline);
  const { dataPool: name = spec.pool } = image;
  return { image, pool: { name, ...(await plane.poolSpace(name, deadline)) } };
}

function clusterPart({ parts, ...said }: SaidByCluster, disks: Disks | undefined): ClusterPart {
  return { ...said, ...(parts === undefined ? {} : { held: heldInCeph(parts, disks?.volumes ?? []) }) };
}

function begun(sr: string, place: PlaceOfSr): Pick<Picture, 'sr' | 'takenAt' | 'place'> {
  return { sr, takenAt: new Date().toISOString(), place };
}

function notHere(uuid: string, isRecorded: boolean): RbdsrError {
  return new RbdsrError('sr-unavailable', {
    what: `SR ${uuid} is not attached on this host`,
    ...(isRecorded ? { found: 'its image is not mapped any more' } : {}),
    todo: 'Plug its PBD (xe pbd-plug), ask a host that has it plugged, or name what holds its image: --device /dev/... or a copy in a file.',
  });
}
