import { RbdsrError } from '../base/error.ts';
import { formatBytes, MiB, roundUp } from '../base/units.ts';
import { formatSpec, type ImageSpec } from '../ceph/image/image-spec.ts';
import { WORTH_GROWING } from '../sr/grow-volume-group.ts';

/** What is there before an SR grows, and what is asked for. */
export interface GrowFacts {
  readonly sr: string;
  readonly name: string;
  readonly spec: ImageSpec;
  readonly imageBytes: number;
  /** Of one object: the volume group's extents lie as they do. */
  readonly objectBytes: number;
  /** The volume group's, as xapi has it. */
  readonly srBytes: number;
  readonly wantedBytes: number;
  /** The hosts that have it plugged, the master first. */
  readonly plugged: readonly PluggedOn[];
}

export interface PluggedOn {
  readonly ref: string;
  readonly name: string;
  readonly isMaster: boolean;
}

export interface GrowPlan extends GrowFacts {
  /** Rounded up to a MiB. */
  readonly sizeBytes: number;
}

/**
 * 'invalid-argument' where it would shrink, or grow by less than LVM is told of; 'sr-unavailable' where the pool's
 * master, which alone writes LVM's metadata, does not have it plugged. Pure.
 */
export function planGrowth(facts: GrowFacts): GrowPlan {
  const { sr, spec, imageBytes, objectBytes, srBytes, wantedBytes, plugged } = facts;
  const sizeBytes = roundUp(MiB, wantedBytes);
  if (sizeBytes < imageBytes) {
    throw new RbdsrError('invalid-argument', {
      what: `image ${formatSpec(spec)} would shrink`,
      expected: `at least its size of now, ${formatBytes(imageBytes)}`,
      found: formatBytes(sizeBytes),
    });
  }
  const least = WORTH_GROWING + Math.max(objectBytes, LVM_KEEPS);
  if (sizeBytes - srBytes < least) {
    throw new RbdsrError('invalid-argument', {
      what: `SR ${sr} would not grow by it`,
      expected: `${formatBytes(least)} more than it has, ${formatBytes(srBytes)}`,
      found: formatBytes(sizeBytes),
    });
  }
  if (!plugged.some(({ isMaster }) => isMaster)) {
    throw new RbdsrError('sr-unavailable', {
      what: `SR ${sr} is not plugged on the pool's master, which alone may grow its volume group`,
      todo: 'Plug its PBD there (xe pbd-plug), then try again.',
    });
  }
  return { ...facts, sizeBytes };
}

/** Stock's metadata areas are the largest. */
const LVM_KEEPS = 10 * MiB;

/** What will be done, a line for each thing. Pure. */
export function growthInWords({ sr, name, spec, imageBytes, sizeBytes, plugged }: GrowPlan): readonly string[] {
  const image = formatSpec(spec);
  const hosts = plugged.map((host) => host.name).join(', ');
  return [
    `SR ${sr} ${JSON.stringify(name)}:`,
    sizeBytes === imageBytes
      ? `  1. image ${image} has ${formatBytes(imageBytes)} already; whoever has it open is told once more`
      : `  1. image ${image} grows from ${formatBytes(imageBytes)} to ${formatBytes(sizeBytes)}, and whoever has it open is told`,
    `  2. each host that has it mapped is asked which size its kernel sees: ${hosts}`,
    '  3. a scan on the master lets the volume group use it',
    'No disk and no guest is touched. It is not made smaller again.',
  ];
}
