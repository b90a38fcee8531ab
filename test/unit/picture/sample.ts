import type { VdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import type { MetadataRecord } from '../../../src/lvhd/metadata/record.ts';
import type { LvReport } from '../../../src/lvm/report.ts';
import type { DiskNode, Disks } from '../../../src/picture/disks.ts';
import type { HostPart, Picture, RecordedVdi, XapiPart } from '../../../src/picture/picture.ts';

export const SR = '0a1b2c3d-0000-4000-8000-000000000001';

/** A uuid that a person can tell from others. */
export function uuid(n: number): VdiUuid {
  return `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000` as VdiUuid;
}

/** A sound VHD of 40 MiB, a base copy where it is hidden. */
export function vhdNode(n: number, more: Partial<DiskNode> = {}): DiskNode {
  const parent = more.parentUuid;
  return {
    uuid: uuid(n),
    kind: 'vhd',
    lvName: `VHD-${uuid(n)}`,
    lvSizeBytes: 48 * MiB,
    virtualSizeBytes: 40 * MiB,
    hidden: false,
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
    findings: [],
    vhd: {
      uuid: `image-${n}`,
      parentNames: parent === undefined ? [] : [`VHD-${parent}`],
      allocatedBlocks: 4,
      blocks: 20,
      usedBytes: 12 * MiB,
      ...(parent === undefined ? {} : { parentImage: `image-${Number(parent.slice(0, 8))}` }),
    },
    ...(parent === undefined ? {} : { parentLvName: `VHD-${parent}` }),
    ...more,
  };
}

export function rawNode(n: number, more: Partial<DiskNode> = {}): DiskNode {
  const { vhd: _none, ...node } = vhdNode(n);
  const sizes = { lvSizeBytes: 8 * MiB, virtualSizeBytes: 8 * MiB };
  return { ...node, kind: 'aio', lvName: `LV-${uuid(n)}`, ...sizes, ...more };
}

export function childOf(parent: number, n: number, more: Partial<DiskNode> = {}): DiskNode {
  return vhdNode(n, { parentUuid: uuid(parent), ...more });
}

export function volume(name: string, more: Partial<LvReport> = {}): LvReport {
  return { name, sizeBytes: 4 * MiB, active: false, open: false, readOnly: false, tags: [], segments: [], ...more };
}

export function stored(n: number, nameLabel: string, more: Partial<MetadataRecord> = {}): MetadataRecord {
  return {
    uuid: uuid(n),
    nameLabel,
    nameDescription: '',
    isASnapshot: false,
    snapshotOf: '',
    snapshotTime: '',
    type: 'user',
    vdiType: 'vhd',
    readOnly: false,
    managed: true,
    metadataOfPool: '',
    offset: 2048 + 1024 * n,
    deleted: false,
    ...more,
  };
}

export function recorded(n: number, nameLabel: string, more: Partial<RecordedVdi> = {}): RecordedVdi {
  return {
    uuid: uuid(n),
    nameLabel,
    type: 'user',
    managed: true,
    readOnly: false,
    isASnapshot: false,
    virtualBytes: 40 * MiB,
    marks: [],
    ...more,
  };
}

/** What is on an image: these nodes, each with its volume, and a metadata volume with these records. */
export function disksOf(nodes: readonly DiskNode[], vdis: readonly MetadataRecord[], more: Partial<Disks> = {}): Disks {
  return {
    vg: {
      name: `VG_XenStorage-${SR}`,
      uuid: 'vg',
      sizeBytes: 1020 * MiB,
      freeBytes: 510 * MiB,
      extentSizeBytes: 4 * MiB,
      partial: false,
      pvs: [{ name: '/dev/rbd0', sizeBytes: 1020 * MiB, deviceSizeBytes: 1024 * MiB, dataStartBytes: 4 * MiB }],
    },
    volumes: [
      volume('MGT'),
      ...nodes.map((node) => volume(node.lvName, { sizeBytes: node.lvSizeBytes, active: node.active })),
    ],
    nodes,
    journals: [],
    metadata: {
      sr: { uuid: SR, allocation: 'thin', nameLabel: 'Ceph', nameDescription: '' },
      vdis,
      problems: [],
    },
    unsettled: false,
    ...more,
  };
}

export function offline(disks: Disks): Picture {
  const why = 'a device or a file was named: no host and no pool is asked';
  return {
    sr: SR,
    takenAt: '2026-11-30T08:00:00.000Z',
    place: { kind: 'device', device: '/backup/sr1.img' },
    disks,
    missing: [
      { part: 'host', why, wanted: false },
      { part: 'xapi', why, wanted: false },
    ],
  };
}

export const HOST_PART: HostPart = {
  mappings: [
    {
      device: '/dev/rbd0',
      image: 'xen/sr1',
      sizeBytes: 1024 * MiB,
      fsid: '7d4e2b0e-1111-4222-8333-944445555666',
      clientId: 'client4123',
      clientAddress: '10.0.0.5:0/123456789',
      monitors: ['10.0.0.1:6789'],
      user: 'xen',
    },
  ],
  counts: [],
  openers: {},
};

export function xapiPart(vdis: readonly RecordedVdi[]): XapiPart {
  return {
    nameLabel: 'Ceph',
    type: 'rbd',
    allocation: 'thin',
    hosts: [
      { uuid: 'host-1', name: 'alpha', plugged: true, isThis: true, isMaster: true },
      { uuid: 'host-2', name: 'beta', plugged: false, isThis: false, isMaster: false },
    ],
    vdis,
    keys: { user: 'xen', formerUsers: ['xen-old'], monitors: '10.0.0.1:6789' },
  };
}

export function attached(disks: Disks, more: Partial<Picture> = {}): Picture {
  return {
    ...offline(disks),
    place: { kind: 'attached', device: '/dev/rbd0', image: 'xen/sr1', fsid: '7d4e2b0e-1111-4222-8333-944445555666' },
    host: HOST_PART,
    missing: [],
    ...more,
  };
}

/** A name that would clear the screen, turn the writing, and run as a script. */
export const HOSTILE = 'evil\u001B[2J\u202E\n<script>document.title="hacked"</script>"\'&amp;';

/** What the cluster says of it: the mapping of this host, and a client that nobody here knows. */
export function asked(picture: Picture): Picture {
  const held = (picture.disks?.nodes ?? []).map(({ lvName }, at) => [lvName, at * 4 * MiB] as const);
  return {
    ...picture,
    cluster: {
      watchers: [
        { address: '10.0.0.5:0/123456789', client: 4123 },
        { address: '10.0.0.9:0/42', client: 777 },
      ],
      image: {
        sizeBytes: 1024 * MiB,
        format: 2,
        features: 0x81,
        objectBytes: 4 * MiB,
        dataPool: 'xen-data',
        parent: { pool: 'xen', namespace: 'golden', image: HOSTILE, snapshot: 's1' },
      },
      pool: { name: 'xen-data', usedBytes: 200 * MiB, freeBytes: 300 * MiB, flags: ['full_quota', 'nearfull'] },
      held: { imageBytes: 200 * MiB, byVolume: Object.fromEntries(held) },
    },
  };
}

/** A pool with a chain, a snapshot, a clone, a raw disk, and disks in use on two hosts. */
export function usualSr(): Picture {
  const nodes = [
    vhdNode(1, { hidden: true, lvReadOnly: true, lvSizeBytes: 16 * MiB, active: true }),
    childOf(1, 2, { active: true, open: true }),
    childOf(1, 3),
    childOf(1, 4, { hidden: true, lvReadOnly: true }),
    childOf(4, 5),
    childOf(4, 6, { hidden: true }),
    rawNode(7),
    vhdNode(8),
  ];
  const base = { managed: false, readOnly: true };
  const names: readonly (readonly [number, string, Partial<MetadataRecord>])[] = [
    [1, 'base copy', base],
    [2, 'web', {}],
    [3, 'web before the update', { isASnapshot: true }],
    [4, 'base copy', base],
    [5, 'web clone', {}],
    [6, 'gone', base],
    [7, 'quorum', { vdiType: 'aio' }],
    [8, HOSTILE, {}],
  ];
  const marks = [
    { ref: 'OpaqueRef:alpha', host: 'alpha', mode: 'RW' },
    { ref: 'OpaqueRef:gone', mode: 'RO' },
  ];
  return attached(
    disksOf(
      nodes,
      names.map(([n, name, more]) => stored(n, name, more)),
    ),
    {
      xapi: xapiPart(
        names
          .filter(([n]) => n !== 6)
          .map(([n, name, { managed = true, isASnapshot = false }]) =>
            recorded(n, name, {
              managed,
              isASnapshot,
              readOnly: !managed,
              marks: n === 2 ? marks : [],
              virtualBytes: (n === 7 ? 8 : 40) * MiB,
            }),
          ),
      ),
      host: {
        ...HOST_PART,
        counts: [
          { uuid: uuid(1), normal: 1, binary: 0 },
          { uuid: uuid(2), normal: 0, binary: 1 },
        ],
        openers: { [`VHD-${uuid(2)}`]: 'pid 4711 (tapdisk)' },
      },
    },
  );
}
