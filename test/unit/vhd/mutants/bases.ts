import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB } from '../../../../src/base/units.ts';
import { createChild } from '../../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../../src/vhd/image/create.ts';
import { VhdImage } from '../../../../src/vhd/image/image.ts';
import { fileIo } from '../file-io.ts';
import { ImageEdit } from './image-edit.ts';
import { mutate } from './mutations.ts';
import type { Random } from './random.ts';
import { type Places, placesOf } from './structures.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures');
const MODIFIED = 700_000_000;

/** Sound images that mutants are made of: of the reference tools, of other makers, and our own. */
export const SMALL_BASES = [
  'own/dynamic.vhd',
  'own/child.vhd',
  'vhd/empty.vhd',
  'field/headers/sound.vhd',
  'field/chain31/l02.vhd',
  'field/fixed/hyperv.vhd',
  'field/fixed/child.vhd',
  'field/blocks/512k.vhd',
  'field/legacy/511.vhd',
] as const;
export const BASES: readonly string[] = [
  ...SMALL_BASES,
  'own/child.vhd',
  'vhd/base.vhd',
  'vhd/mid.vhd',
  'vhd/rawchild.vhd',
  'vhd/resized.vhd',
  'vhd/hidden.vhd',
];

/** A folder with all of them, or with the small ones, and the parents that they name. */
export async function placeBases(which: 'all' | 'small' = 'all'): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-mutants-'));
  for (const name of ['own', 'vhd', 'field']) mkdirSync(join(folder, name));
  const members = which === 'small' ? ['./empty.vhd'] : [];
  execFileSync('tar', ['-xJf', join(FIXTURES, 'vhd/vhd.tar.xz'), '-C', join(folder, 'vhd'), ...members]);
  execFileSync('tar', ['-xJf', join(FIXTURES, 'field/field.tar.xz'), '-C', join(folder, 'field')]);
  await makeOwn(join(folder, 'own'));
  return folder;
}

async function makeOwn(folder: string): Promise<void> {
  const [dynamic, child] = [join(folder, 'dynamic.vhd'), join(folder, 'child.vhd')];
  const uuids = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const;
  const disk = { virtualSizeBytes: 8 * MiB, timestamp: MODIFIED };
  for (const path of [dynamic, child]) {
    writeFileSync(path, '');
    truncateSync(path, 5 * MiB);
  }
  await createVhd(fileIo(dynamic, 'write'), { ...disk, uuid: uuids[0] });
  const parent = { name: 'dynamic.vhd', uuid: uuids[0], modified: MODIFIED };
  await createChild(fileIo(child, 'write'), { ...disk, uuid: uuids[1] }, parent);
  for (const [path, full] of [
    [dynamic, 0],
    [child, 6 * MiB],
  ] as const) {
    const image = await VhdImage.open(fileIo(path, 'write'), 'write');
    await image.write(full, Buffer.alloc(2 * MiB, full === 0 ? 1 : 2));
    await image.write(3 * MiB, Buffer.alloc(1536, 3));
    await image.close();
  }
}

const MOST_CHANGES = 20;

/** One base after another, opened once, with where its structures are. */
export class Mutants implements Disposable {
  readonly folder: string;
  readonly #open = new Map<string, { readonly fd: number; readonly size: number; readonly places: Places }>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** With so many changes, more where they came to nothing, and what they are. */
  make(base: string, random: Random, changes: number, change = mutate): { edit: ImageEdit; what: string } {
    const { fd, size, places } = this.#base(base);
    const edit = new ImageEdit(fd, size, `mutant of ${base}`);
    const done: string[] = [];
    const most = changes === 0 ? 0 : MOST_CHANGES;
    while (done.length < most && (done.length < changes || !edit.isChanged)) done.push(change(edit, places, random));
    return { edit, what: [base, ...done].join('; ') };
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #base(name: string): { readonly fd: number; readonly size: number; readonly places: Places } {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const path = join(this.folder, name);
    const fd = openSync(path, 'r');
    const { size } = statSync(path);
    const opened = { fd, size, places: placesOf(new ImageEdit(fd, size)) };
    this.#open.set(name, opened);
    return opened;
  }
}
