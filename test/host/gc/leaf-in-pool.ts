import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes, type VdiNode } from '../../../src/lvhd/lv-table.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { killedAt } from '../../support/killed-at.ts';
import { loopPool, type LoopPoolOptions } from '../../support/loop-pool.ts';
import { makeLinks } from './chain-in-pool.ts';
import { CollectedSr, type GcEnd } from './collected-sr.ts';

/** What every disk is to hold, and the four nodes. */
export interface LeafChain {
  /** On which the parent hangs, and another disk. */
  readonly ground: VdiUuid;
  readonly parent: VdiUuid;
  readonly leaf: VdiUuid;
  readonly other: VdiUuid;
  readonly shown: ReadonlyMap<VdiUuid, Buffer>;
}

const EMPTY = {
  nameDescription: '',
  isASnapshot: false,
  snapshotOf: '',
  snapshotTime: '',
  type: 'user',
  metadataOfPool: '',
} as const;

/** A pool of two hosts in whose SR a leaf is all that hangs on a hidden parent, which hangs on a base of two disks. */
export class LeafInPool extends CollectedSr {
  static async make(options: LoopPoolOptions = {}): Promise<LeafInPool> {
    return new LeafInPool(await loopPool({ sizeBytes: 256 * MiB, ...options }));
  }

  /** Of whatever was there nothing stays. `leafBytes`: of the leaf's volume, which holds every block with 16 MiB. */
  async chain({ leafBytes = 16 * MiB } = {}): Promise<LeafChain> {
    const { sr } = this.pool;
    for (const { name } of (await sr.report()).lvs) if (name !== 'MGT') await sr.lvm.removeLv(name);
    const [ground, parent, leaf, other] = Array.from({ length: 4 }, () => vdiUuid(randomUUID())) as [
      VdiUuid,
      VdiUuid,
      VdiUuid,
      VdiUuid,
    ];
    const shown = await makeLinks(sr, [
      { uuid: ground, hidden: true, writes: [[0, 3 * MiB, 1]] },
      { uuid: parent, hidden: true, parent: ground, writes: [[MiB, 4096, 2]], lvBytes: 8 * MiB },
      {
        uuid: leaf,
        hidden: false,
        parent,
        lvBytes: leafBytes,
        writes: [
          [MiB + 512, 512, 3],
          [3 * MiB, 4096, 4],
          [6 * MiB + 512, MiB, 5],
        ],
      },
      { uuid: other, hidden: false, parent: ground, writes: [[2 * MiB, 512, 6]] },
    ]);
    await sr.lvm.setPermission(`VHD-${parent}`, 'r');
    const mgt = new MetadataVolume(await sr.openLv('MGT', 'write'));
    for (const uuid of await this.listed()) await mgt.delete(uuid);
    for (const uuid of [ground, parent, leaf, other]) {
      const isBase = uuid === ground || uuid === parent;
      const nameLabel = isBase ? 'base copy' : 'disk';
      await mgt.add({ ...EMPTY, uuid, nameLabel, vdiType: 'vhd', readOnly: isBase, managed: !isBase });
    }
    await this.scan();
    return { ground, parent, leaf, other, shown };
  }

  scan(): Promise<void> {
    return srScan(this.pool.double, this.pool.srRef);
  }

  /** A driver that is killed at this point. */
  killedAt(point: string, call: () => Promise<unknown>): Promise<void> {
    const { pool } = this;
    return killedAt(pool.double, (environment, work) => pool.withEnvironment(environment, work), point, call);
  }

  gc(args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<GcEnd> {
    return this.runGc(args, { environment });
  }

  async nodes(): Promise<readonly VdiNode[]> {
    return readVdiNodes(await this.pool.sr.report(), this.pool.sr.pvIo);
  }

  async journals(): Promise<readonly string[]> {
    return listJournals(await this.pool.sr.report()).map(({ type }) => type);
  }

  async listed(): Promise<readonly string[]> {
    const { vdis } = await new MetadataVolume(await this.pool.sr.openLv('MGT', 'read')).read();
    return vdis.map(({ uuid }) => uuid);
  }

  /** As a reader finds it that knows no journal, by this name of its volume. */
  async readsAs({ leaf, shown }: LeafChain, nodes: readonly VdiNode[], uuid: VdiUuid = leaf): Promise<void> {
    const disk = await openVdi(new VdiTree(nodes), uuid, this.pool.sr.openLv);
    const content = shown.get(leaf) ?? Buffer.alloc(0);
    expect((await disk.read(0, content.length)).equals(content)).toBe(true);
    await disk.close();
  }

  /** The leaf is one with its parent, everywhere, and the other disk holds what it held. */
  async isFolded(chain: LeafChain, lvBytes: number): Promise<void> {
    const { ground, parent, leaf, other } = chain;
    const nodes = await this.nodes();
    expect(nodes.map(({ lvName }) => lvName).toSorted()).toEqual(
      [ground, leaf, other].map((uuid) => `VHD-${uuid}`).toSorted(),
    );
    expect(new VdiTree(nodes).find(leaf)).toMatchObject({
      hidden: false,
      lvReadOnly: false,
      parentUuid: ground,
      lvSizeBytes: lvBytes,
    });
    await this.readsAs(chain, nodes);
    await this.readsAs({ ...chain, leaf: other }, nodes, other);
    for (const { lvName } of nodes) expect(await checkVhd(await this.pool.sr.openLv(lvName, 'read'))).toEqual([]);
    expect(await this.journals()).toEqual([]);
    expect(this.record(parent)).toBeUndefined();
    expect(this.smConfig(leaf)).toMatchObject({ vdi_type: 'vhd', 'vhd-parent': ground });
    for (const key of ['paused', 'relinking']) expect(this.smConfig(leaf)).not.toHaveProperty(key);
    expect(await this.listed()).not.toContain(parent);
    expect(this.pool.double.offences).toEqual([]);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.pool[Symbol.asyncDispose]();
  }
}
