import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { childProgram } from '../../support/lvhd-child.ts';
import { RefCounts } from '../../../src/lvhd/refcount.ts';

const SR = srUuid('11111111-2222-3333-4444-555555555555');
const A = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
const B = vdiUuid('bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee');
let root = '';
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/rbdsr-lvm-`);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function counts(): RefCounts {
  return new RefCounts(SR, {
    deadline: Deadline.after(10_000),
    places: { root: `${root}/refcount`, lockRoot: `${root}/lock` },
  });
}
const file = (): string => `${root}/refcount/lvm-${SR}/${A}`;

describe('RefCounts', () => {
  it('writes what the stock driver writes', () => {
    const refs = counts();
    expect(refs.get(A, 'normal')).toBe(1);
    expect(readFileSync(file(), 'utf8')).toBe('1 0\n');
    expect(refs.get(A, 'binary')).toBe(2);
    expect(refs.get(A, 'binary')).toBe(2);
    expect(refs.get(A, 'normal')).toBe(3);
    expect(readFileSync(file(), 'utf8')).toBe('2 1\n');
    expect(refs.put(A, 'binary')).toBe(2);
    expect(refs.put(A, 'normal')).toBe(1);
    expect(refs.put(A, 'normal')).toBe(0);
    expect(existsSync(`${root}/refcount/lvm-${SR}`)).toBe(false);
  });

  it('never goes below nothing', () => {
    const refs = counts();
    expect([refs.put(A, 'normal'), refs.put(A, 'binary'), refs.read(A)]).toEqual([0, 0, { normal: 0, binary: 0 }]);
  });

  it('keeps the folder while another volume is counted, and reset forgets all', () => {
    const refs = counts();
    refs.get(A, 'normal');
    refs.get(B, 'binary');
    refs.put(A, 'normal');
    expect(refs.read(B)).toEqual({ normal: 0, binary: 1 });
    refs.reset();
    expect(existsSync(`${root}/refcount/lvm-${SR}`)).toBe(false);
    refs.reset();
  });

  it.each(['', '1', 'x 0\n', '1 2\n', '-1 0\n'])('a file of %j is refused, not guessed', (text) => {
    const refs = counts();
    refs.get(A, 'normal');
    writeFileSync(file(), text);
    expect(() => refs.get(A, 'normal')).toThrow(expect.objectContaining({ code: 'refcount' }));
  });

  it('changes from several processes under its lock are all counted', async () => {
    using child = await childProgram(`${import.meta.dirname}/refcount-child.ts`);
    const ends = await Promise.all([1, 2, 3].map(() => child.run([root, SR, A, '5'])));
    expect(ends.map(({ code, output }) => ({ code, output }))).toEqual([1, 2, 3].map(() => ({ code: 0, output: '' })));
    expect(counts().read(A)).toEqual({ normal: 15, binary: 0 });
    expect(existsSync(`${root}/lock/lvm-${SR}/${A}`)).toBe(true);
  });

  it('two volumes whose counts come and go at once take the folder from under each other, and lose nothing', async () => {
    using child = await childProgram(`${import.meta.dirname}/refcount-child.ts`);
    const ends = await Promise.all([A, B].map((vdi) => child.run([root, SR, vdi, '300', 'put'])));
    expect(ends.map(({ code, output }) => ({ code, output }))).toEqual([A, B].map(() => ({ code: 0, output: '' })));
    expect(existsSync(`${root}/refcount/lvm-${SR}`)).toBe(false);
  });
});
