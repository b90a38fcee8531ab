import type { VhdChain } from '../../vhd/chain/chain.ts';
import { DIFFERENCING } from '../../vhd/format/footer.ts';
import { BLOCK_BYTES, NO_UUID } from '../../vhd/format/header.ts';
import { VhdImage } from '../../vhd/image/image.ts';
import { type ParentNames, readParentNames } from '../../vhd/format/parent-names.ts';

/** What `vhd info` knows of a disk; with --json, exactly this. Sizes are bytes. */
export type VhdFacts = Awaited<ReturnType<typeof factsOf>>;

export async function factsOf(chain: VhdChain) {
  const { leaf } = chain;
  const names = await readParentNames(leaf.io, leaf.header);
  return {
    file: leaf.io.name,
    fileBytes: leaf.io.size,
    footer: footerFacts(leaf),
    header: headerFacts(leaf, names),
    allocation: allocationOf(leaf),
    parents: chain.parents.map(parentFacts),
  };
}

function footerFacts({ footer, footerPlace: foundAt }: VhdImage) {
  const { geometry, creatorVersion } = footer;
  return {
    foundAt,
    uuid: footer.uuid,
    type: footer.diskType === DIFFERENCING ? 'differencing' : 'dynamic',
    virtualBytes: footer.currentSize,
    originalBytes: exactly(footer.originalSize),
    geometry: { cylinders: geometry >>> 16, heads: (geometry >> 8) & 255, sectors: geometry & 255 },
    created: timeOf(footer.timestamp),
    creator: footer.creatorApp.replaceAll('\0', ''),
    creatorVersion: `${creatorVersion >>> 16}.${creatorVersion & 0xffff}`,
    hidden: footer.hidden !== 0,
  };
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

function parentFacts(parent: VhdChain['parents'][number]) {
  const { io, virtualSizeBytes } = parent;
  if (!(parent instanceof VhdImage)) return { file: io.name, type: 'raw', virtualBytes: virtualSizeBytes };
  return {
    file: io.name,
    type: parent.hasParent ? 'differencing' : 'dynamic',
    virtualBytes: virtualSizeBytes,
    uuid: parent.footer.uuid,
    hidden: parent.hidden,
    ...allocationOf(parent),
  };
}

function allocationOf(image: VhdImage) {
  return {
    blocks: Math.ceil(image.virtualSizeBytes / BLOCK_BYTES),
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
