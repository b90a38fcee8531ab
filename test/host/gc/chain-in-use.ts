import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiActivate, vdiDeactivate } from '../../../lab/xapi-double/vdi-operations.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { KiB, MiB } from '../../../src/base/units.ts';
import { nbdFiles, readNbdState } from '../../../src/datapath/nbd/nbd-files.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { ActiveVolumes } from '../../support/stand-ins/active-volumes.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { DISK_BYTES, makeChain } from './chain-in-pool.ts';
import { CollectedSr, type GcEnd } from './collected-sr.ts';

const id = (n: number): VdiUuid => vdiUuid(`0000000${n}-1111-4222-8333-0123456789ab`);
export const [BASE, INNER, MIDDLE, FIRST, SECOND] = [id(1), id(2), id(3), id(4), id(5)];

/** Where guests write; the chain has content before and behind it. */
const AT = 5 * MiB;
const LENGTH = 64 * KiB;

/** A guest that has a disk open by NBD on a host. */
interface Guest {
  readonly disk: VdiUuid;
  readonly host: number;
  readonly client: NbdTestClient;
}

/**
 * A pool of two hosts on which guests are: a chain of three hidden nodes below two disks, the first in use on the
 * master, the second on the other host. The second hangs on the node that is merged by way of a hidden node.
 */
export class ChainInUse extends CollectedSr {
  readonly volumes: ActiveVolumes;
  guests: readonly Guest[] = [];
  readonly #shown: Map<VdiUuid, Buffer>;

  private constructor(pool: LoopPool, shown: ReadonlyMap<VdiUuid, Buffer>) {
    super(pool);
    this.volumes = new ActiveVolumes(pool);
    this.#shown = new Map(shown);
    for (const index of [0, 1]) {
      const text = 'profile = master\ndatapath = nbd\ndeadline = 60\ncollect = by-hand\n';
      writeFileSync(`${pool.root(index)}/etc/rbdsr/rbdsr.conf`, text);
    }
  }

  static async make(): Promise<ChainInUse> {
    let shown: ReadonlyMap<VdiUuid, Buffer> = new Map();
    const pool = await loopPool({
      sizeBytes: 256 * MiB,
      populate: async (sr) => {
        shown = await makeChain(sr, [
          { uuid: BASE, hidden: true, writes: [[0, 3 * MiB, 1]] },
          {
            uuid: INNER,
            hidden: true,
            parent: BASE,
            writes: [
              [MiB, 4096, 2],
              [4 * MiB, 2 * MiB, 3],
              [7 * MiB, 512, 4],
            ],
          },
          { uuid: MIDDLE, hidden: true, parent: INNER, writes: [[4 * MiB, 4096, 6]] },
          { uuid: FIRST, hidden: false, parent: INNER, writes: [[4 * MiB + 512, 512, 5]] },
          { uuid: SECOND, hidden: false, parent: MIDDLE, writes: [] },
          // So that the node below has more than one child, and is not merged itself.
          { uuid: id(6), hidden: false, parent: MIDDLE, writes: [[0, 512, 7]] },
        ]);
      },
    });
    const made = new ChainInUse(pool, shown);
    await made.scan();
    made.guests = [await made.#start(FIRST, 0), await made.#start(SECOND, 1)];
    return made;
  }

  scan(): Promise<void> {
    return this.started(() => srScan(this.pool.double, this.pool.srRef));
  }

  /** Drivers, plug-ins and commands that it starts see the volumes that are active. */
  started<T>(call: () => Promise<T>): Promise<T> {
    return this.pool.startedBy(this.volumes.prefix, call);
  }

  gc(environment: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<GcEnd> {
    return this.started(() => this.runGc(args, { environment, prefix: this.volumes.prefix }));
  }

  /** Which guests' disks are paused, by what their servers say, and by xapi. */
  paused(): { readonly servers: readonly boolean[]; readonly keys: readonly boolean[] } {
    return {
      servers: this.guests.map(({ disk, host }) => readNbdState(this.#nbd(disk, host).state)?.paused === true),
      keys: this.guests.map(({ disk }) => Object.hasOwn(this.smConfig(disk), 'paused')),
    };
  }

  async tree(): Promise<VdiTree> {
    return new VdiTree(await readVdiNodes(await this.pool.sr.report(), this.pool.sr.pvIo));
  }

  async journals(): Promise<readonly string[]> {
    return listJournals(await this.pool.sr.report()).map(({ type }) => type);
  }

  /** How often a disk is counted as an ancestor on a host; 0 where it is not. */
  countOf(uuid: VdiUuid, host: number): number {
    const path = `${this.pool.root(host)}/var/run/sm/refcount/lvm-${this.srUuid}/${uuid}`;
    return existsSync(path) ? Number.parseInt(readFileSync(path, 'utf8'), 10) : 0;
  }

  /** Each guest writes, and remembers. */
  async write(): Promise<void> {
    for (const { disk, client } of this.guests) {
      const payload = randomBytes(LENGTH);
      expect(await client.ask({ type: 1, offset: AT, payload })).toMatchObject({ error: 0 });
      payload.copy(this.#shown.get(disk) ?? Buffer.alloc(0), AT);
    }
  }

  /** Each guest reads its whole disk, on the connection that it had at first. */
  async guestsRead(): Promise<void> {
    for (const { disk, client } of this.guests) {
      for (let offset = 0; offset < DISK_BYTES; offset += MiB) {
        const { data } = await client.ask({ type: 0, offset, length: MiB });
        const expected = this.#shown.get(disk)?.subarray(offset, offset + MiB);
        expect([disk, offset, expected?.equals(data)]).toEqual([disk, offset, true]);
      }
    }
  }

  /** As the SR's device holds them. */
  async disksRead(): Promise<void> {
    for (const { client } of this.guests) await client.ask({ type: 3 });
    const tree = await this.tree();
    for (const { uuid } of tree.nodes.filter(({ hidden }) => !hidden)) {
      const disk = await openVdi(tree, uuid, this.pool.sr.openLv);
      expect([uuid, (await disk.read(0, DISK_BYTES)).equals(this.#shown.get(uuid) ?? Buffer.alloc(0))]).toEqual([
        uuid,
        true,
      ]);
    }
  }

  /** The node is gone everywhere, guests go on, and nothing keeps a disk from use. */
  async isMerged(): Promise<void> {
    expect((await this.tree()).find(INNER)).toBeUndefined();
    expect(await this.journals()).toEqual([]);
    expect(this.paused()).toEqual({ servers: [false, false], keys: [false, false] });
    for (const row of this.records()) expect(mapOf(row, 'sm_config')).not.toHaveProperty('relinking');
    expect([this.smConfig(FIRST)['vhd-parent'], this.smConfig(MIDDLE)['vhd-parent']]).toEqual([BASE, BASE]);
    for (const host of [0, 1]) {
      expect(this.volumes.on(host)).not.toContain(`VHD-${INNER}`);
      expect([this.countOf(INNER, host), this.countOf(BASE, host)]).toEqual([0, 1]);
    }
    await this.guestsRead();
    await this.write();
    await this.guestsRead();
    await this.disksRead();
    for (const { lvName } of (await this.tree()).nodes)
      expect([lvName, await checkVhd(await this.pool.sr.openLv(lvName, 'read'))]).toEqual([lvName, []]);
    expect(this.pool.double.offences).toEqual([]);
  }

  /** Disks are let go, and nothing of them stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const { client } of this.guests) client.socket.destroy();
      for (const { disk, host } of this.guests)
        await this.started(() => vdiDeactivate(this.pool.double, this.#host(host), this.record(disk)?.ref ?? ''));
      expect([this.volumes.on(0), this.volumes.on(1)]).toEqual([[], []]);
    } finally {
      this.volumes[Symbol.dispose]();
      await this.pool[Symbol.asyncDispose]();
    }
  }

  async #start(disk: VdiUuid, host: number): Promise<Guest> {
    const ref = this.record(disk)?.ref ?? '';
    await this.started(() => vdiActivate(this.pool.double, this.#host(host), ref, { writable: true }));
    return { disk, host, client: await NbdTestClient.connect(this.#nbd(disk, host).socket, disk) };
  }

  #host(index: number): string {
    return this.pool.double.hosts[index]?.ref ?? '';
  }

  #nbd(disk: VdiUuid, host: number): ReturnType<typeof nbdFiles> {
    return nbdFiles(hostProfile('8.3b', { commandDeadlineSeconds: {} }, this.pool.root(host)), disk);
  }
}
