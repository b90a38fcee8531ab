import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockIo } from '../../src/base/block-io.ts';
import { MiB, TiB } from '../../src/base/units.ts';
import { lvmConfig } from '../../src/lvm/config.ts';
import type { VgReport } from '../../src/lvm/report.ts';
import { createVhd } from '../../src/vhd/image/create.ts';
import { memoryIo } from './lvhd-memory-io.ts';
import type { OpenSr } from './lvhd-vectors.ts';

export const manyVdisBytes = (count: number): number => (count * 8 + 32) * MiB;

/**
 * Puts `count` empty VHDs of 10 MiB into a new volume group, in a second instead of minutes: the metadata is written by
 * one `vgcfgrestore` of a text that names all the LVs. `VHD-<uuid n>` has the n-th two extents.
 */
export async function makeManyVdis(sr: OpenSr, count: number): Promise<VgReport> {
  const { device, vg } = sr.lvm;
  await sr.lvm.createVg();
  const file = join(tmpdir(), `rbdsr-lvm-${process.pid}.vg`);
  const lvm = (...args: string[]): void => {
    const common = ['--driverloaded', 'n', '--config', lvmConfig({ device, writable: true })];
    execFileSync('lvm', [...args.slice(0, 1), ...common, ...args.slice(1)], { stdio: 'pipe' });
  };
  try {
    lvm('vgcfgbackup', '-f', file, vg);
    const text = readFileSync(file, 'utf8');
    const end = text.lastIndexOf('}');
    const lvs = Array.from({ length: count }, (_, n) => logicalVolume(n)).join('');
    writeFileSync(file, `${text.slice(0, end)}\nlogical_volumes {\n${lvs}}\n${text.slice(end)}`);
    lvm('vgcfgrestore', '-f', file, vg);
  } finally {
    rmSync(file, { force: true });
  }
  const report = await sr.report();
  const header = await emptyVhdHeader();
  for (const lv of report.lvs) await sr.pvIo.write(lv.segments[0]?.pvOffsetBytes ?? 0, header);
  await sr.pvIo.flush();
  return report;
}

export const manyVdiUuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

function logicalVolume(n: number): string {
  const id = String(n)
    .padStart(32, '0')
    .replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, '$1-$2-$3-$4-$5-$6-$7');
  return `VHD-${manyVdiUuid(n)} {
id = "${id}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = ["pv0", ${n * 2}]
}
}
`;
}

async function emptyVhdHeader(): Promise<Buffer> {
  const io: BlockIo = memoryIo(8 * MiB);
  const uuid = '0123456789abcdef0123456789abcdef';
  await createVhd(io, { virtualSizeBytes: 10 * MiB, maxVirtualSizeBytes: 2 * TiB, uuid, timestamp: 0 });
  return io.read(0, 4096);
}
