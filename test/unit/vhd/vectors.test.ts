import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { expectedContent, sha256Of, soundNames, vector, VectorFiles, vectorNames, vectors } from './vectors.ts';

let files: VectorFiles;
beforeAll(() => {
  files = new VectorFiles();
});
afterAll(() => files[Symbol.dispose]());

describe('images of the reference tools', () => {
  it.each(soundNames.filter((name) => vectors[name]?.sha256 !== undefined))(
    '%s shows the content that tapdisk reads',
    async (name) => {
      const chain = await files.chain(name);
      expect(await sha256Of(chain)).toBe(vector(name).sha256);
      await chain.close();
    },
  );

  it.each(soundNames.filter((name) => vectors[name]?.writes !== undefined))(
    '%s shows what was written, by the formula',
    async (name) => {
      const chain = await files.chain(name);
      const content = await chain.read(0, chain.size);
      expect(content.equals(expectedContent(name))).toBe(true);
      await chain.close();
    },
  );

  it('the resized image shows what base shows, and zeroes behind it', async () => {
    const chain = await files.chain('resized');
    const base = expectedContent('base');
    expect((await chain.read(0, base.length)).equals(base)).toBe(true);
    const behind = await chain.read(base.length, 8 * MiB);
    expect(behind.equals(Buffer.alloc(behind.length))).toBe(true);
    await chain.close();
  });

  it.each(soundNames)('%s has the facts that vhd-util query and read print', async (name) => {
    const { query_vfdp, read_p } = vector(name);
    const chain = await files.chain(name);
    const { leaf } = chain;
    const depth = chain.parents.length + 1;
    expect([`${leaf.virtualSizeBytes / MiB}`, `hidden: ${leaf.hidden ? 1 : 0}`, `chain depth: ${depth}`]).toEqual([
      query_vfdp[0],
      query_vfdp[2],
      query_vfdp[3],
    ]);
    const printed = (label: string): string | undefined =>
      read_p
        .find((line) => line.startsWith(label))
        ?.slice(label.length)
        .trim();
    expect(leaf.footer.uuid).toBe(printed('UUID                :'));
    expect(String(leaf.header.maxBatEntries)).toBe(printed('Max BAT size        :'));
    expect(leaf.header.parentUuid).toBe(printed('Parent UUID         :'));
    const { geometry } = leaf.footer;
    const chs = `Cyl: ${geometry >>> 16}, Hds: ${(geometry >> 8) & 255}, Sctrs: ${geometry & 255}`;
    expect(chs).toBe(printed('Geometry            :'));
    await chain.close();
  });

  it.each(soundNames.filter((name) => name !== 'lv12'))('the physical size of %s is that of its file', async (name) => {
    const io = files.io(name);
    const image = await VhdImage.open(io, 'read');
    expect(image.physicalSizeBytes).toBe(io.size);
    await image.close();
  });

  it.each(vectorNames)('the checker agrees with vhd-util check about %s', async (name) => {
    const io = files.io(name);
    const findings = await checkVhd(io);
    const sound = findings.every(({ severity }) => severity !== 'error');
    expect(sound, JSON.stringify(findings)).toBe(vector(name).check_rc === 0);
    if (sound) expect(findings).toEqual([]);
    await io.close();
  });

  it('a missing end footer is tolerated where it is asked for, and the copy is used', async () => {
    const io = files.io('bad-end-footer');
    expect(await checkVhd(io, { endFooterOptional: true })).toEqual([]);
    const image = await VhdImage.open(io, 'read');
    expect(image.virtualSizeBytes).toBe(40 * MiB);
    await image.close();
  });
});
