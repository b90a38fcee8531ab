import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { openChain, type VhdChain } from '../../../src/vhd/chain/chain.ts';
import { fileIo } from './file-io.ts';

/** [first sector, sectors, generation] */
export type VectorWrite = readonly [sector: number, sectors: number, generation: number];

/** What blktap's tools said about an image they made; test/fixtures/vhd. */
export interface Vector {
  readonly file: string;
  readonly query_vfdp: readonly string[];
  readonly check_rc: number;
  readonly read_p: readonly string[];
  readonly size_mib?: number;
  readonly parent?: string;
  readonly parent_is_raw?: boolean;
  readonly writes?: readonly VectorWrite[];
  readonly sha256?: string;
  readonly broken?: boolean;
}

const FIXTURES = join(import.meta.dirname, '../../fixtures/vhd');
const manifest = JSON.parse(readFileSync(join(FIXTURES, 'vhd-manifest.json'), 'utf8')) as {
  readonly seed: string;
  readonly images: Readonly<Record<string, Vector>>;
};

export const vectors: Readonly<Record<string, Vector>> = manifest.images;
export const vectorNames: readonly string[] = Object.keys(vectors);
export const soundNames: readonly string[] = vectorNames.filter((name) => vectors[name]?.broken !== true);

export function vector(name: string): Vector {
  const found = vectors[name];
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

/** The unpacked images. */
export class VectorFiles implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rbdsr-vhd-'));

  constructor() {
    execFileSync('tar', ['-xJf', join(FIXTURES, 'vhd.tar.xz'), '-C', this.#folder]);
  }

  path(file: string): string {
    return join(this.#folder, file);
  }

  io(name: string): BlockIo {
    return fileIo(this.path(vector(name).file));
  }

  bytes(name: string): Buffer {
    return readFileSync(this.path(vector(name).file));
  }

  /** Opened through the parents the manifest names. */
  chain(name: string): Promise<VhdChain> {
    return openChain(this.io(name), 'read', async ({ paths }) => {
      const file = paths[0]?.slice('./'.length) ?? '';
      const io = fileIo(this.path(file));
      return file.endsWith('.raw') ? { raw: io } : io;
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What the manifest's formula puts into one sector. */
export function stamp(vdi: string, generation: number, sector: number): Buffer {
  return Buffer.alloc(SECTOR, `${manifest.seed}|${vdi}|${generation}|${sector};`, 'latin1');
}

export function stamped(vdi: string, [sector, sectors, generation]: VectorWrite): Buffer {
  return Buffer.concat(Array.from({ length: sectors }, (_unused, i) => stamp(vdi, generation, sector + i)));
}

/** The visible content by the formula: the writes of all ancestors and of the image itself, in order. */
export function expectedContent(name: string): Buffer {
  const { size_mib, parent, parent_is_raw, writes } = vector(name);
  const size = (size_mib ?? 0) * MiB;
  let content: Buffer = Buffer.alloc(size);
  if (parent_is_raw === true) {
    for (let sector = 0; sector < size / SECTOR; sector += 97)
      stamp('rawbase', 0, sector).copy(content, sector * SECTOR);
  } else if (parent !== undefined) content = expectedContent(parent);
  for (const write of writes ?? []) stamped(name, write).copy(content, write[0] * SECTOR);
  return content;
}

export async function sha256Of(io: BlockIo): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < io.size; at += MiB) hash.update(await io.read(at, Math.min(MiB, io.size - at)));
  return hash.digest('hex');
}
