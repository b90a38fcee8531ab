import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { readPvLabel } from '../../../src/lvm/lvm-label.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';

/** A PV whose metadata's area begins at 4096, as LVM makes it (lvm2 `lib/format_text/layout.h`). */
function pv(text: string): ReturnType<typeof memoryIo> {
  const io = memoryIo(4 * MiB);
  io.bytes.write('LABELONE', 512);
  io.bytes.writeUInt32LE(32, 512 + 20);
  io.bytes.write('LVM2 001', 512 + 24);
  const header = 512 + 32;
  io.bytes.write('aaaaaabbbbccccddddeeeeffffgggggg', header);
  io.bytes.writeBigUInt64LE(BigInt(4 * MiB), header + 32);
  // One data area and its end, then one of metadata.
  io.bytes.writeBigUInt64LE(BigInt(MiB), header + 40);
  io.bytes.writeBigUInt64LE(4096n, header + 72);
  io.bytes.write(' LVM2 x[5A%r0N*>', 4096 + 4);
  io.bytes.writeBigUInt64LE(512n, 4096 + 40);
  io.bytes.writeBigUInt64LE(BigInt(text.length), 4096 + 48);
  io.bytes.write(text, 4096 + 512);
  return io;
}
const NAMED = 'vg {\nid = "abc"\n';

describe('what an LVM label says of the volume group', () => {
  it('its name and uuid', async () => {
    expect(await readPvLabel(pv(NAMED))).toEqual({
      pvUuid: 'aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg',
      offset: 512,
      deviceBytes: 4 * MiB,
      vgName: 'vg',
      vgUuid: 'abc',
    });
  });

  it('none: no text, or no place for one', async () => {
    const bare = pv('');
    expect(await readPvLabel(bare)).not.toHaveProperty('damage');
    const without = pv(NAMED);
    without.bytes.writeBigUInt64LE(0n, 512 + 32 + 72);
    for (const io of [bare, without]) {
      expect(await readPvLabel(io)).toMatchObject({ deviceBytes: 4 * MiB });
      expect(await readPvLabel(io)).not.toHaveProperty('vgName');
      expect(await readPvLabel(io)).not.toHaveProperty('damage');
    }
  });

  it.each<[string, (bytes: Buffer) => unknown]>([
    ['a label that points out of its sector', (bytes) => bytes.writeUInt32LE(4_000_000_000, 512 + 20)],
    ['an area behind the end of the device', (bytes) => bytes.writeBigUInt64LE(BigInt(8 * MiB), 512 + 32 + 72)],
    ['an area without its magic', (bytes) => bytes.fill(0, 4096, 4096 + 20)],
    ['a text behind the end of the device', (bytes) => bytes.writeBigUInt64LE(BigInt(8 * MiB), 4096 + 40)],
    ['a text that begins with noise', (bytes) => bytes.fill(0xa5, 4096 + 512, 4096 + 520)],
  ])('nobody knows: %s', async (_what, harm) => {
    const io = pv(NAMED);
    harm(io.bytes);
    const label = await readPvLabel(io);
    expect(label).toMatchObject({ offset: 512, damage: expect.stringMatching(/^.{10,}$/) });
    expect(label).not.toHaveProperty('vgName');
  });
});
