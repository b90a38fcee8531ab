import type { BlockIo } from '../../base/block-io.ts';
import { hasCode } from '../../base/error.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import { parentLvName } from '../../lvhd/names.ts';
import { openVhd } from '../../lvhd/open-vhd.ts';
import { extentIo } from '../../lvm/extents.ts';
import type { LvReport } from '../../lvm/report.ts';
import { checkVhd } from '../../vhd/check/check.ts';
import { NO_UUID } from '../../vhd/format/header.ts';
import { readParentNames } from '../../vhd/format/parent-names.ts';
import type { VhdImage } from '../../vhd/image/image.ts';
import type { DiskNode, ReadProblem, VhdPart } from '../disks.ts';

/**
 * A node with what its VHD holds, and with what is wrong with that by itself. Damage is a finding; a volume that cannot
 * be read is a problem, and is asked no further.
 */
export async function lookAtNode(node: VdiNode, lv: LvReport | undefined, pv: BlockIo): Promise<DiskNode> {
  const { scanError, ...known } = node;
  const problem: ReadProblem | undefined =
    scanError === undefined ? undefined : { code: scanError.code, message: scanError.message };
  const unread = { ...known, findings: [], ...(problem === undefined ? {} : { problem }) };
  if (lv === undefined || node.kind !== 'vhd' || hasCode(scanError, 'io', 'vdi-unavailable')) return unread;
  try {
    const io = extentIo(pv, lv);
    const findings = await checkVhd(io);
    const vhd = problem === undefined ? await vhdOf(io) : undefined;
    return { ...unread, findings, ...(vhd === undefined ? {} : { vhd }) };
  } catch (error) {
    if (!hasCode(error, 'io', 'vdi-unavailable')) throw error;
    return { ...unread, problem: { code: error.code, message: error.message } };
  }
}

/** Undefined for one that is damaged, of which the findings tell. */
async function vhdOf(io: BlockIo): Promise<VhdPart | undefined> {
  let image: VhdImage;
  try {
    image = await openVhd(io, 'read');
  } catch (error) {
    if (hasCode(error, 'vhd-corrupt')) return undefined;
    throw error;
  }
  const { header, footer, hasParent } = image;
  return {
    uuid: footer.uuid,
    ...(hasParent && header.parentUuid !== NO_UUID ? { parentImage: header.parentUuid } : {}),
    parentNames: hasParent ? await parentsNamed(io, image) : [],
    allocatedBlocks: image.allocatedBlocks,
    blocks: Math.ceil(image.virtualSizeBytes / image.form.bytes),
    usedBytes: image.physicalSizeBytes,
  };
}

async function parentsNamed(io: BlockIo, { header }: VhdImage): Promise<readonly string[]> {
  const { name, locators } = await readParentNames(io, header);
  const names = [name, ...locators.map(({ path }) => path)].filter((text) => text !== '');
  return [...new Set(names.map((text) => parentLvName(text) ?? text))];
}
