import { formatBytes, MiB } from '../../base/units.ts';
import type { Examined } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** The volume group as a whole, and the image below it. */
export function groupFindings({ picture, disks }: Examined): readonly SrFinding[] {
  const findings: SrFinding[] = [];
  const { vg } = disks;
  if (vg.partial) {
    findings.push({
      severity: 'error',
      code: 'vg-partial',
      where: 'SR',
      what: `the volume group ${vg.name} lacks one of its physical volumes`,
      means: 'Part of the disks is not here. RBDSR makes no such SR, and attaches none.',
      todo: 'Find the missing device. Until then write nothing, and above all do not let LVM remove what is missing.',
    });
  }
  for (const { name, sizeBytes, deviceSizeBytes, dataStartBytes } of vg.pvs) {
    const ends = dataStartBytes + sizeBytes;
    if (deviceSizeBytes === 0 || deviceSizeBytes >= ends) continue;
    const { place } = picture;
    const grow = `rbd resize --size ${Math.ceil(ends / MiB)}M ${place.kind === 'attached' ? place.image : 'POOL/IMAGE'}`;
    findings.push({
      severity: 'error',
      code: 'image-cut',
      where: 'SR',
      what: `${name} has ${formatBytes(deviceSizeBytes)}, and the volume group on it was made for ${formatBytes(ends)}`,
      means: 'What lay behind its end is gone, and LVM refuses to activate volumes that reach there.',
      todo:
        place.kind === 'attached'
          ? `Give the image its size back, which loses no more: ${grow}. Then look again.`
          : 'Take a whole copy: this one was cut.',
    });
  }
  return findings;
}
