import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { decodeFooter, encodeFooter, FOOTER_BYTES, newFooter } from '../../../src/vhd/format/footer.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const OWN = '22222222-2222-2222-2222-222222222222';
const OTHER = '33333333-3333-3333-3333-333333333333';
const SIZE = 8 * MiB;

/** A disk that begins with `data`, in a volume whose last sector then became another disk's end footer. */
async function staleDisk(legacy = false): Promise<RecordedIo> {
  const io = new RecordedIo(16 * MiB);
  await createVhd(io, { virtualSizeBytes: SIZE, uuid: OWN, timestamp: 0 });
  const image = await VhdImage.open(io, 'write');
  await image.write(0, data);
  await image.flush();
  const foreign = encodeFooter(newFooter({ uuid: OTHER, timestamp: 0, virtualSizeBytes: 2 * MiB, diskType: 4 }));
  if (legacy) io.bytes.set([0, ...foreign.subarray(0, FOOTER_BYTES - 1)], io.size - FOOTER_BYTES);
  else io.bytes.set(foreign, io.size - FOOTER_BYTES);
  return io;
}
const data = Buffer.alloc(4096, 'data');

describe.each([
  ['an end footer', false],
  ['an end footer of 511 bytes', true],
])('%s that belongs to another image', (_name, legacy) => {
  it('does not count: the copy does', async () => {
    const image = await VhdImage.open(await staleDisk(legacy), 'read');
    expect(image.footer).toMatchObject({ uuid: OWN, currentSize: SIZE, diskType: 3 });
    expect(image.footerPlace).toBe('copy');
    expect(await image.read(0, data.length)).toEqual(data);
  });

  it('at the end of a parent does not cut off its children', async () => {
    const leaf = new RecordedIo(16 * MiB);
    await createChild(
      leaf,
      { virtualSizeBytes: SIZE, uuid: OTHER, timestamp: 0 },
      { name: 'p', uuid: OWN, modified: 0 },
    );
    const chain = await openChain(leaf, 'read', () => staleDisk(legacy));
    expect(await chain.read(0, data.length)).toEqual(data);
  });

  it('is found by a check, and replaced when the image is closed', async () => {
    const io = await staleDisk(legacy);
    const errors = (await checkVhd(io)).filter(({ severity }) => severity === 'error');
    expect(errors.map(({ code, message }) => [code, message])).toEqual([
      ['footers-differ', expect.stringContaining('the one at the end belongs to another image')],
    ]);
    await (await VhdImage.open(io, 'write')).close();
    expect(await checkVhd(io)).toEqual([]);
    expect(decodeFooter(io.bytes.subarray(io.size - FOOTER_BYTES), 0).uuid).toBe(OWN);
  });
});

it('without a valid copy the footer at the end counts, whosever it is', async () => {
  const io = new RecordedIo(16 * MiB);
  await createVhd(io, { virtualSizeBytes: SIZE, uuid: OWN, timestamp: 0 });
  io.bytes.fill(0, 0, FOOTER_BYTES);
  const image = await VhdImage.open(io, 'read', { copyFirst: true });
  expect([image.footer.uuid, image.footerPlace]).toEqual([OWN, 'end']);
});
