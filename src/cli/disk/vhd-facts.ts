import { messageOf } from '../../base/error.ts';
import { checkVhd } from '../../vhd/check/check.ts';
import type { Parent } from '../../vhd/chain/open-parents.ts';
import { DIFFERENCING, FIXED, type Footer } from '../../vhd/format/footer.ts';
import { NO_UUID } from '../../vhd/format/header.ts';
import { type ParentNames, readParentNames } from '../../vhd/format/parent-names.ts';
import { FixedVhd } from '../../vhd/image/fixed.ts';
import { VhdImage } from '../../vhd/image/image.ts';
import type { WholeImage } from './whole-image.ts';

/** What `vhd info` knows of a disk; with --json, exactly this. Sizes are bytes. */
export type VhdFacts = Awaited<ReturnType<typeof factsOf>>;

export async function factsOf({ leaf, parents, broken }: WholeImage) {
  const { io } = leaf;
  // As it is while a tapdisk has the disk open: where the footer was read says the rest.
  const findings = await checkVhd(io, { endFooterOptional: leaf.footerPlace === 'copy' });
  return {
    file: io.name,
    fileBytes: io.size,
    footer: footerFacts(leaf),
    ...(leaf instanceof VhdImage
      ? { header: headerFacts(leaf, await readParentNames(io, leaf.header)), allocation: allocationOf(leaf) }
      : {}),
    parents: parents.map(parentFacts),
    ...(broken === undefined ? {} : { nextParent: messageOf(broken) }),
    errors: findings.filter(({ severity }) => severity === 'error').map(({ code, message }) => ({ code, message })),
  };
}

function footerFacts({ footer, footerPlace: foundAt }: VhdImage | FixedVhd) {
  const { geometry, creatorVersion } = footer;
  return {
    foundAt,
    uuid: footer.uuid,
    type: typeOf(footer),
    virtualBytes: footer.currentSize,
    originalBytes: exactly(footer.originalSize),
    geometry: { cylinders: geometry >>> 16, heads: (geometry >> 8) & 255, sectors: geometry & 255 },
    created: timeOf(footer.timestamp),
    creator: footer.creatorApp.replaceAll('\0', ''),
    creatorVersion: `${creatorVersion >>> 16}.${creatorVersion & 0xffff}`,
    hidden: footer.hidden !== 0,
  };
}

function typeOf({ diskType }: Footer): 'fixed' | 'dynamic' | 'differencing' {
  if (diskType === FIXED) return 'fixed';
  return diskType === DIFFERENCING ? 'differencing' : 'dynamic';
}

function headerFacts({ header, hasParent, maxVirtualSizeBytes }: VhdImage, names: ParentNames) {
  return {
    batOffset: header.tableOffset,
    batEntries: header.maxBatEntries,
    blockBytes: header.blockSize,
    largestVirtualBytes: maxVirtualSizeBytes,
    ...(hasParent
      ? {
          ...(header.parentUuid === NO_UUID ? {} : { parentUuid: header.parentUuid }),
          parentModified: timeOf(header.parentTimestamp),
          parentName: names.name,
          locators: names.locators.map(({ slot, code, path }) => ({ slot, code: codeText(code), path })),
        }
      : {}),
  };
}

interface ParentFacts extends Partial<ReturnType<typeof allocationOf>> {
  readonly file: string;
  readonly virtualBytes: number;
  readonly type: 'raw' | ReturnType<typeof typeOf>;
  readonly uuid?: string;
  readonly hidden?: boolean;
}

function parentFacts(parent: Parent): ParentFacts {
  const { io, virtualSizeBytes } = parent;
  const file = { file: io.name, virtualBytes: virtualSizeBytes };
  if (!('footer' in parent)) return { ...file, type: 'raw' };
  const known = { ...file, type: typeOf(parent.footer), uuid: parent.footer.uuid, hidden: parent.footer.hidden !== 0 };
  return parent instanceof FixedVhd ? known : { ...known, ...allocationOf(parent) };
}

function allocationOf(image: VhdImage) {
  return {
    blocks: Math.ceil(image.virtualSizeBytes / image.form.bytes),
    allocatedBlocks: image.allocatedBlocks,
    physicalBytes: image.physicalSizeBytes,
  };
}

/** A number where JSON can hold it. */
function exactly(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}

/** Seconds since 2000, the epoch of VHD. */
function timeOf(seconds: number): string {
  return new Date((seconds + 946_684_800) * 1000).toISOString();
}

/** 0x57326b75 -> "W2ku" */
function codeText(code: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(code);
  return bytes.toString('latin1');
}
