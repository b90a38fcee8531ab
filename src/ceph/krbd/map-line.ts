import { RbdsrError } from '../../base/error.ts';
import { formatSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import { formatMapOption } from './map-options.ts';
import type { MapOption } from './map-options.ts';
import { formatMonitors } from '../cluster/monitors.ts';
import type { MonitorAddress } from '../cluster/monitors.ts';

export interface MapLine {
  readonly monitors: readonly MonitorAddress[];
  readonly user: string;
  /** `key=NAME` or `secret=BASE64`. */
  readonly key: string;
  readonly spec: ImageSpec;
  readonly readOnly: boolean;
  readonly options: readonly MapOption[];
  /** Unless the options set it. */
  readonly mountTimeoutSeconds: number;
}

/**
 * `MONITORS OPTIONS POOL IMAGE SNAPSHOT`, what `/sys/bus/rbd/add` takes (Documentation/ABI/testing/sysfs-bus-rbd). The
 * parts must have passed checkMappable. mount_timeout bounds how long the kernel hunts for a monitor, and later an
 * unmap; a client of its own (noshare) so that fencing one SR's client cannot fence another's.
 */
export function mapLine(line: MapLine): string {
  const { spec } = line;
  const timeout = line.options.some(({ name }) => name === 'mount_timeout')
    ? []
    : [`mount_timeout=${line.mountTimeoutSeconds}`];
  const options = [
    `name=${line.user}`,
    line.key,
    'noshare',
    ...timeout,
    ...line.options.map(formatMapOption),
    ...(line.readOnly || spec.snapshot !== undefined ? ['ro'] : []),
    ...(spec.namespace === undefined || spec.namespace === '' ? [] : [`_pool_ns=${spec.namespace}`]),
  ];
  const text = [formatMonitors(line.monitors), options.join(','), spec.pool, spec.image, spec.snapshot ?? '-'].join(
    ' ',
  );
  if (Buffer.byteLength(text) < PAGE) return text;
  throw new RbdsrError('image-unmappable', {
    what: `the names and options of ${formatSpec(spec)} are too long for the kernel`,
    expected: `less than ${PAGE} bytes in all`,
    found: `${Buffer.byteLength(text)} bytes`,
  });
}

/** A sysfs attribute takes at most one page. */
const PAGE = 4096;
