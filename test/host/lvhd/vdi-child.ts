import { vdiUuid } from '../../../src/base/ids.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkPlan, createVolume, planVdi } from '../../../src/lvhd/ops/vdi-create.ts';
import { planResize, resizeVolume } from '../../../src/lvhd/ops/vdi-resize.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';

/** Makes or grows one disk of the SR on a device; the test kills it at a fault point. */
const [device = '', srId = '', operation = '', id = '', kind = 'vhd', bytes = '0', allocation = 'thick'] =
  process.argv.slice(2);
await using sr = await openSrOn(device, srId);
const world = { lvm: sr.lvm, openPv: (mode: 'read' | 'write') => openBlockIo(device, mode) };
const report = await sr.report();
const uuid = vdiUuid(id);
const how = allocation === 'thin' ? 'thin' : 'thick';
if (operation === 'create') {
  const plan = planVdi({ uuid, kind: kind === 'aio' ? 'aio' : 'vhd', sizeBytes: Number(bytes), allocation: how });
  checkPlan(plan, report);
  await createVolume(world, plan, report);
} else {
  const node = new VdiTree(await readVdiNodes(report, sr.pvIo)).get(uuid);
  const plan = planResize(node, Number(bytes), how);
  if (plan !== undefined) await resizeVolume(world, report, node, plan);
}
