import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { SECTOR } from '../base/units.ts';
import { committedText } from './_committed-names.ts';
import { type MetadataSection, parseMetadataText } from './_metadata-text.ts';
import { readPvLabel } from './lvm-label.ts';
import type { LvReport, LvSegment, VgReport } from './report.ts';

/**
 * The volume group on a device or in a file, as LVM's report has it, read without LVM: it works on any machine, without
 * being root, and the machine's own LVM never gets to see, and to activate, what is there. Whether a volume is active
 * or open it does not tell. 'sr-unavailable' where there is no volume group whose metadata are whole.
 */
export async function readDeviceReport(io: BlockIo): Promise<VgReport> {
  const label = await readPvLabel(io);
  if (label === undefined) throw noGroup(io, 'no LVM label');
  if (label.damage !== undefined) throw noGroup(io, label.damage);
  if (label.vgName === undefined) throw noGroup(io, 'a physical volume without a volume group');
  const text = await committedText(io);
  if (text === undefined) throw noGroup(io, 'metadata that are cut short or do not agree with their checksum');
  const group = parseMetadataText(text.toString('utf8')).sections.get(label.vgName);
  if (group === undefined) throw noGroup(io, `metadata without the volume group ${label.vgName} of its label`);
  return reportOf(label.vgName, group, { name: io.name, uuid: label.pvUuid, sizeBytes: io.size });
}

interface DeviceOfPv {
  readonly name: string;
  readonly uuid: string;
  readonly sizeBytes: number;
}

function reportOf(name: string, group: MetadataSection, device: DeviceOfPv): VgReport {
  const extentSizeBytes = group.number('extent_size') * SECTOR;
  const pvs = [...group.section('physical_volumes').sections].map(([key, pv]) => {
    const isHere = pv.text('id') === device.uuid;
    return {
      key,
      isHere,
      name: isHere ? device.name : pv.text('id'),
      sizeBytes: pv.number('pe_count') * extentSizeBytes,
      deviceSizeBytes: isHere ? device.sizeBytes : 0,
      dataStartBytes: pv.number('pe_start') * SECTOR,
    };
  });
  const places = new Map(pvs.map((pv) => [pv.key, pv]));
  const lvs = [...(group.sections.get('logical_volumes')?.sections ?? [])]
    .filter(([, lv]) => lv.texts('status').includes('VISIBLE'))
    .map(([lvName, lv]) => volumeOf(lvName, lv, extentSizeBytes, places))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const sizeBytes = pvs.reduce((sum, pv) => sum + pv.sizeBytes, 0);
  return {
    name,
    uuid: group.text('id'),
    sizeBytes,
    freeBytes: sizeBytes - lvs.reduce((sum, lv) => sum + lv.sizeBytes, 0),
    extentSizeBytes,
    partial: pvs.some(({ isHere }) => !isHere),
    pvs: pvs.map(({ key: _key, isHere: _isHere, ...pv }) => pv),
    lvs,
  };
}

type Places = ReadonlyMap<string, { readonly name: string; readonly dataStartBytes: number }>;

function volumeOf(name: string, lv: MetadataSection, extentBytes: number, places: Places): LvReport {
  const segments = [...lv.sections.values()]
    .map((segment) => segmentOf(segment, extentBytes, places))
    .toSorted((a, b) => a.startBytes - b.startBytes);
  return {
    name,
    sizeBytes: segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    active: false,
    open: false,
    readOnly: !lv.texts('status').includes('WRITE'),
    tags: lv.texts('tags'),
    segments,
  };
}

/** LVM calls one stripe `linear`, which is all that an SR has; anything else keeps its name and no place. */
function segmentOf(segment: MetadataSection, extentBytes: number, places: Places): LvSegment {
  const stripes = segment.list('stripes');
  const [pv, extent] = stripes;
  const place = places.get(String(pv));
  const isLinear = segment.text('type') === 'striped' && stripes.length === 2 && place !== undefined;
  return {
    startBytes: segment.number('start_extent') * extentBytes,
    lengthBytes: segment.number('extent_count') * extentBytes,
    pv: place?.name ?? '',
    pvOffsetBytes: (place?.dataStartBytes ?? 0) + Number(extent ?? 0) * extentBytes,
    type: isLinear ? 'linear' : segment.text('type'),
  };
}

function noGroup(io: BlockIo, found: string): RbdsrError {
  return new RbdsrError('sr-unavailable', {
    what: `${io.name} holds no volume group that can be read`,
    expected: 'the device of an SR, or a copy of it: the whole image, not one of its disks',
    found,
  });
}
