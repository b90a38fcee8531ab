import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate } from '../../../lab/xapi-double/vdi-operations.ts';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { SR_NAMES_OFFSET, SR_OFFSET } from '../../../src/lvhd/metadata/layout.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { killedAt } from '../../support/killed-at.ts';
import { type LoopPool, type LoopPoolOptions, loopPool } from '../../support/loop-pool.ts';

/** A pool with one disk whose content is known, for tests that kill the driver and then ask whether all is well. */
export class PoolWithDisk {
  readonly pool: LoopPool;
  kept!: Row;
  readonly #content = randomBytes(5 * MiB);

  private constructor(pool: LoopPool) {
    this.pool = pool;
  }

  static async make(o: Pick<LoopPoolOptions, 'profile'> = {}): Promise<PoolWithDisk> {
    const made = new PoolWithDisk(await loopPool(o));
    made.kept = await made.create({ virtualSize: 8 * MiB, nameLabel: 'kept' });
    await using disk = await made.open(made.kept, 'write');
    await disk.write(0, made.#content);
    return made;
  }

  create(more: Partial<Parameters<typeof vdiCreate>[1]> = {}): Promise<Row> {
    const { double, srRef } = this.pool;
    return vdiCreate(double, { sr: srRef, virtualSize: 2 * MiB, nameLabel: 'made', ...more });
  }

  scan(): Promise<void> {
    return srScan(this.pool.double, this.pool.srRef);
  }

  disks(): Row[] {
    return this.pool.double.db.where('VDI', 'SR', this.pool.srRef);
  }

  /** All but the one with known content. */
  others(): Row[] {
    return this.disks().filter(({ ref }) => ref !== this.kept.ref);
  }

  killedAt(point: string, call: () => Promise<unknown>): Promise<void> {
    const { pool } = this;
    return killedAt(pool.double, (environment, work) => pool.withEnvironment(environment, work), point, call);
  }

  /** `rbdsr mgt rebuild` on the master. */
  async rebuildMetadata(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { pool } = this;
    const sr = stringOf(pool.double.db.get('SR', pool.srRef), 'uuid');
    const argv = [join(pool.product, 'cli.cjs'), 'mgt', 'rebuild', sr];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: pool.root(0), ...environment };
    await promisify(execFile)(process.execPath, argv, { env });
  }

  /** Noise where the metadata volume says whose it is. */
  async damageMetadata(): Promise<void> {
    const io = await this.pool.sr.openLv('MGT', 'write');
    await io.write(SR_OFFSET, randomBytes(SR_NAMES_OFFSET - SR_OFFSET));
    await io.flush();
  }

  /** Records, volumes and metadata agree, and the disk with known content still has it. */
  async allIsWell(): Promise<void> {
    const { sr, double } = this.pool;
    const { lvs } = await sr.report();
    const disks = this.disks();
    const volumes = disks.map((row) => {
      const raw = mapOf(row, 'sm_config')['vdi_type'] === 'aio';
      return `${raw ? 'LV' : 'VHD'}-${stringOf(row, 'uuid')}`;
    });
    expect(lvs.map(({ name }) => name).sort()).toEqual(['MGT', ...volumes].sort());
    expect(listJournals(await sr.report())).toEqual([]);
    for (const [index, row] of disks.entries()) {
      expect(row.fields['cbt_enabled']).toBe(false);
      const lv = lvs.find(({ name }) => name === volumes[index]);
      expect(row.fields['physical_utilisation']).toBe(lv?.sizeBytes);
      if (lv?.name.startsWith('VHD-') === true) expect(await checkVhd(await sr.openLv(lv.name, 'read'))).toEqual([]);
    }
    const { vdis, problems } = await new MetadataVolume(await sr.openLv('MGT', 'read')).read();
    expect(problems).toEqual([]);
    // A disk that a scan has found has no record there: `rbdsr mgt rebuild` makes one.
    expect(disks.map((row) => stringOf(row, 'uuid'))).toEqual(expect.arrayContaining(vdis.map(({ uuid }) => uuid)));
    await using disk = await this.open(this.kept, 'read');
    expect((await disk.read(0, this.#content.length)).equals(this.#content)).toBe(true);
    expect(double.offences).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }

  /** As the SR's device holds it. */
  async open(row: Row, mode: 'read' | 'write'): Promise<BlockIo & AsyncDisposable> {
    const { sr } = this.pool;
    const tree = new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
    const io = await openVdi(tree, vdiUuid(stringOf(row, 'uuid')), sr.openLv, mode);
    return Object.assign(io, { [Symbol.asyncDispose]: () => io.close() });
  }
}
