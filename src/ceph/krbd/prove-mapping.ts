import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { type Answering, answered, readOnce } from '../../system/io/answered.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { writeAttribute } from '../../system/waiting-sysfs.ts';
import { formatSpec } from '../image/image-spec.ts';
import type { KrbdHost } from './krbd-host.ts';
import { readMapping } from './krbd-sysfs.ts';
import type { Mapping } from './mapping.ts';

/**
 * A mapping may be used when its node is there with the right numbers, the node is as large as the image (and as
 * expected, where that is known), and one direct read of 4 KiB has answered. Returns the mapping with its size as it is
 * now. 'device-missing' | 'image-foreign' | 'osd-unresponsive'.
 */
export async function proveMapping(
  host: KrbdHost,
  mapping: Mapping,
  expectedBytes: number | undefined,
  deadline: Deadline,
): Promise<Mapping> {
  await waitForNode(mapping, deadline);
  const sized = await withSize(host, mapping, expectedBytes, deadline);
  const size = await sizeByReading(sized, deadline);
  if (size === sized.sizeBytes) return sized;
  throw new RbdsrError('device-missing', {
    what: `${sized.device} is not as large as the image it maps, ${formatSpec(sized.spec)}`,
    expected: `${sized.sizeBytes} bytes`,
    found: `${size} bytes`,
  });
}

/** The size of the device, once it has answered one direct read. 'osd-unresponsive'. */
export function sizeByReading(mapping: Mapping, deadline: Deadline): Promise<number> {
  return answered(openBlockIo(mapping.device, 'read').then(readOnce), answering(mapping, deadline));
}

/** udev, or the kernel's own devtmpfs, makes the node a moment after the write to `add` returned. */
async function waitForNode(mapping: Mapping, deadline: Deadline): Promise<void> {
  try {
    await deadline
      .within(NODE_MS)
      .until(() => (isNodeOf(mapping) ? true : undefined), `the device node ${mapping.device}`, 20);
  } catch (error) {
    if (!hasCode(error, 'deadline')) throw error;
    throw new RbdsrError('device-missing', {
      what: `${formatSpec(mapping.spec)} is mapped, but its device node ${mapping.device} does not appear`,
      expected: `a block device ${mapping.major}:${mapping.minor}`,
      todo: 'Check that udevd runs and that /dev is a devtmpfs.',
      cause: error,
    });
  }
}

const NODE_MS = 10_000;

function isNodeOf(mapping: Mapping): boolean {
  const stat = statSync(mapping.device, { throwIfNoEntry: false, bigint: true });
  if (stat?.isBlockDevice() !== true) return false;
  // makedev(3) of glibc: 32 bits of each number, interleaved.
  const major = ((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & ~0xfffn);
  const minor = (stat.rdev & 0xffn) | ((stat.rdev >> 12n) & ~0xffn & 0xffffffffn);
  return major === BigInt(mapping.major) && minor === BigInt(mapping.minor);
}

/** An image that grew while nothing watched it is read anew by a write to `refresh`. */
async function withSize(
  host: KrbdHost,
  mapping: Mapping,
  expectedBytes: number | undefined,
  deadline: Deadline,
): Promise<Mapping> {
  const now = readMapping(host.roots, mapping.index) ?? mapping;
  if (expectedBytes === undefined || now.sizeBytes === expectedBytes) return now;
  const refresh = join(host.roots.sysRoot, 'bus/rbd/devices', String(mapping.index), 'refresh');
  await answered(writeAttribute(refresh, '1'), answering(mapping, deadline));
  const then = readMapping(host.roots, mapping.index) ?? now;
  if (then.sizeBytes === expectedBytes) return then;
  throw new RbdsrError('image-foreign', {
    what: `image ${formatSpec(mapping.spec)} does not have the size it should have`,
    expected: `${expectedBytes} bytes`,
    found: `${then.sizeBytes} bytes`,
  });
}

function answering(mapping: Mapping, deadline: Deadline): Answering {
  const { device, spec } = mapping;
  return {
    device,
    mapped: `${formatSpec(spec)} is mapped as ${device}`,
    // The caller must still have time to answer.
    ms: Math.min(ANSWER_MS, deadline.leftMs * 0.9),
    deadline,
    refused: (error) => refused(mapping, error),
  };
}

const ANSWER_MS = 15_000;

/**
 * The kernel makes EIO of whatever an OSD answers, a refusal by the cephx capabilities among it (linux
 * `drivers/block/rbd.c`).
 */
function refused(mapping: Mapping, cause: RbdsrError): RbdsrError {
  return new RbdsrError('io', {
    what: `${formatSpec(mapping.spec)} is mapped as ${mapping.device}, but cannot be read`,
    expected: 'one read of 4 KiB to be answered',
    found: cause.message,
    todo: `The kernel's log says more: dmesg. A cephx user must be allowed to use the image's pool and, where \`rbd info\` shows a data_pool, that one too: osd 'profile rbd pool=POOL, profile rbd pool=DATA'.`,
    facts: { device: mapping.device, errno: cause.detail.facts?.['errno'] ?? 'unknown' },
    cause,
  });
}
