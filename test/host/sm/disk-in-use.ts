import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { vdiActivate, vdiDeactivate } from '../../../lab/xapi-double/vdi-operations.ts';
import { srUuid, type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { linksOf } from '../../../src/datapath/links.ts';
import { type NbdFiles, nbdFiles } from '../../../src/datapath/nbd/nbd-files.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { hideVdi } from '../../../src/lvhd/ops/vdi-delete.ts';
import { EMPTY_VHD_LV_SIZE, fullVhdLvSize, PREALLOCATED_VIRTUAL_SIZE, SMALL_LV_SIZE } from '../../../src/lvhd/sizes.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { dmName } from '../../../src/lvm/dm-name.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { decodeFooter, FOOTER_BYTES } from '../../../src/vhd/format/footer.ts';
import { ActiveVolumes } from '../../support/stand-ins/active-volumes.ts';
import { type PlacedTapdisk, placeTapdisk } from '../../support/stand-ins/placed-tapdisk.ts';
import { PoolWithDisk } from './pool-with-disk.ts';

/** What there is of the use of a disk on a host: in xapi, in LVM, of what serves it, and its names. */
export interface Use {
  /** In VDI.sm_config: `activating`, and of which host a mark is. */
  readonly marks: readonly ('activating' | 'here' | 'there')[];
  /** Whether the volume has room for what is in it, or for all that may be. */
  readonly room: 'data' | 'all';
  readonly active: readonly ('ancestor' | 'leaf')[];
  /** Of those that have any: `leaf 0 1`. */
  readonly counts: readonly string[];
  /** As PlacedTapdisk has it. */
  readonly tapdisk: readonly string[];
  readonly names: readonly Name[];
  /** What an NBD server has left. */
  readonly outcome: string;
}

/** Links to the socket and the volume, the node; what a launch of tapdisk and the NBD server note down, its socket. */
const NAMES = ['nbd', 'node', 'note', 'phy', 'socket', 'state'] as const;
type Name = (typeof NAMES)[number];

export const UNUSED: Use = { marks: [], room: 'data', active: [], counts: [], tapdisk: [], names: [], outcome: '' };

/** Behind the content that the disk has from the first, in its last block. */
export const WRITTEN_AT = 7 * MiB;

const HERE = 0;
const THERE = 1;

/**
 * A pool whose hosts can use a disk (ActiveVolumes), which has an ancestor, and content there. xapi takes it for a
 * snapshot, so that its volume grows and shrinks as that of a thin disk.
 */
export class DiskInUse {
  readonly made: PoolWithDisk;
  readonly volumes: ActiveVolumes;
  readonly #tapdisks: readonly PlacedTapdisk[];
  readonly leaf: Row;
  readonly #ancestor: VdiUuid;

  private constructor(made: PoolWithDisk, leaf: Row, ancestor: VdiUuid) {
    this.made = made;
    this.leaf = leaf;
    this.#ancestor = ancestor;
    this.volumes = new ActiveVolumes(made.pool);
    this.#tapdisks = [HERE, THERE].map((index) => placeTapdisk(made.pool.root(index)));
  }

  static async make(): Promise<DiskInUse> {
    const made = await PoolWithDisk.make();
    const { kept: base } = made;
    const leaf = await childOf(made, base);
    made.kept = leaf;
    return new DiskInUse(made, leaf, vdiUuid(stringOf(base, 'uuid')));
  }

  /** Our NBD server in the place of tapdisk, on a host without kernel devices. */
  serveByNbd(): void {
    for (const index of [HERE, THERE]) {
      const text = 'profile = master\ndatapath = nbd\ndeadline = 60\ncollect = by-hand\n';
      writeFileSync(`${this.made.pool.root(index)}/etc/rbdsr/rbdsr.conf`, text);
    }
  }

  activate(index: number = HERE): Promise<void> {
    return this.#where(() => vdiActivate(this.#double, this.#host(index), this.leaf.ref, { writable: true }));
  }

  deactivate(index: number = HERE): Promise<void> {
    return this.#where(() => vdiDeactivate(this.#double, this.#host(index), this.leaf.ref));
  }

  /** As after xe-toolstack-restart. */
  attachSr(): Promise<void> {
    const pbd = pbdOn(this.#double, this.made.pool.srRef, this.#host(HERE));
    pbd.fields['currently_attached'] = false;
    return this.#where(() => pbdPlug(this.#double, pbd.ref));
  }

  killedAt(point: string, call: () => Promise<unknown>): Promise<void> {
    return this.made.killedAt(point, call);
  }

  get nbdFiles(): NbdFiles {
    return this.#nbd(HERE);
  }

  async use(index: number = HERE): Promise<Use> {
    return {
      marks: this.#marks(index),
      room: await this.#room(),
      active: this.volumes
        .on(index)
        .flatMap((name) => this.#part(name))
        .toSorted(),
      counts: this.#counts(index),
      tapdisk: this.#tapdisks[index]?.list() ?? [],
      names: this.#names(index),
      outcome: textOf(this.#nbd(index).outcome),
    };
  }

  /** As the SR's device holds it. */
  async contentAt(offset: number, length: number): Promise<string> {
    const { sr } = this.made.pool;
    const tree = new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
    const io = await openVdi(tree, this.uuid, sr.openLv, 'read');
    try {
      return (await io.read(offset, length)).toString();
    } finally {
      await io.close();
    }
  }

  /** Afterwards everything is as it was at first. */
  async forget(): Promise<void> {
    for (const [index, tapdisk] of this.#tapdisks.entries()) {
      tapdisk.forget();
      this.volumes.forget(index);
      rmSync(`${this.made.pool.root(index)}/var/run/sm/refcount`, { recursive: true, force: true });
    }
    expect(await this.use(HERE)).toEqual(UNUSED);
    expect(await this.use(THERE)).toEqual(UNUSED);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tapdisk of this.#tapdisks) tapdisk[Symbol.dispose]();
    this.volumes[Symbol.dispose]();
    await this.made[Symbol.asyncDispose]();
  }

  get #double(): PoolWithDisk['pool']['double'] {
    return this.made.pool.double;
  }

  get uuid(): VdiUuid {
    return vdiUuid(stringOf(this.leaf, 'uuid'));
  }

  #host(index: number): string {
    return this.#double.hosts[index]?.ref ?? '';
  }

  #where(call: () => Promise<void>): Promise<void> {
    return this.made.pool.startedBy(this.volumes.prefix, call);
  }

  #profile(index: number): ReturnType<typeof hostProfile> {
    return hostProfile('8.3b', { commandDeadlineSeconds: {} }, this.made.pool.root(index));
  }

  #nbd(index: number): NbdFiles {
    return nbdFiles(this.#profile(index), this.uuid);
  }

  #marks(index: number): Use['marks'] {
    const keys = Object.keys(mapOf(this.leaf, 'sm_config'));
    const marks: Use['marks'] = keys.flatMap((key) => {
      if (key === 'activating') return ['activating'] as const;
      if (!key.startsWith('host_')) return [];
      return key === `host_${this.#host(index)}` ? (['here'] as const) : (['there'] as const);
    });
    return marks.toSorted();
  }

  async #room(): Promise<Use['room']> {
    const { lvs } = await this.made.pool.sr.report();
    const size = lvs.find(({ name }) => name === lvName('vhd', this.uuid))?.sizeBytes;
    const all = fullVhdLvSize(Number(this.leaf.fields['virtual_size']));
    expect([EMPTY_VHD_LV_SIZE, all]).toContain(size);
    return size === all ? 'all' : 'data';
  }

  /** Of the volumes of this disk alone. */
  #part(volume: string): ('ancestor' | 'leaf')[] {
    if (volume === lvName('vhd', this.#ancestor)) return ['ancestor'];
    return volume === lvName('vhd', this.uuid) ? ['leaf'] : [];
  }

  #counts(index: number): string[] {
    const folder = `${this.made.pool.root(index)}/var/run/sm/refcount/lvm-${this.#srUuid}`;
    const parts = { ancestor: this.#ancestor, leaf: this.uuid };
    return Object.entries(parts).flatMap(([part, uuid]) => {
      const text = textOf(`${folder}/${uuid}`);
      return text === '' ? [] : [`${part} ${text}`];
    });
  }

  get #srUuid(): string {
    return this.made.pool.sr.lvm.vg.replace('VG_XenStorage-', '');
  }

  #names(index: number): Use['names'] {
    const profile = this.#profile(index);
    const { phy, backend: node, nbd } = linksOf(profile, { sr: srUuid(this.#srUuid), vdi: this.uuid });
    const { socket, state } = this.#nbd(index);
    const note = `${profile.paths.runDir}/tapdisk/${this.uuid}.json`;
    const paths: Readonly<Record<Name, string | undefined>> = { nbd, node, note, phy, socket, state };
    return NAMES.filter((name) => {
      const path = paths[name];
      return path !== undefined && lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    });
  }
}

/** As a snapshot leaves it: `base` is hidden, and an empty disk lies over it. */
async function childOf(made: PoolWithDisk, base: Row): Promise<Row> {
  const { sr, double } = made.pool;
  const uuid = vdiUuid(randomUUID());
  const parent = lvName('vhd', vdiUuid(stringOf(base, 'uuid')));
  const below = await sr.openLv(parent, 'read');
  const footer = decodeFooter(await below.read(0, FOOTER_BYTES), 0);
  // A journal comes to lie in front of it, so that it grows in one piece (active-volumes.mjs).
  await sr.lvm.createLv('room', SMALL_LV_SIZE);
  await sr.lvm.createLv(lvName('vhd', uuid), EMPTY_VHD_LV_SIZE);
  await sr.lvm.removeLv('room');
  await createChild(
    await sr.openLv(lvName('vhd', uuid), 'write'),
    {
      virtualSizeBytes: Number(base.fields['virtual_size']),
      maxVirtualSizeBytes: PREALLOCATED_VIRTUAL_SIZE,
      uuid: randomUUID(),
      timestamp: new Date(),
    },
    { name: dmName(sr.lvm.vg, parent), uuid: footer.uuid, modified: new Date() },
  );
  const report = await sr.report();
  const node = new VdiTree(await readVdiNodes(report, sr.pvIo)).get(vdiUuid(stringOf(base, 'uuid')));
  await hideVdi({ lvm: sr.lvm, openPv: (mode) => openBlockIo(sr.lvm.device, mode) }, report, node);
  await made.scan();
  const leaf = double.db.byUuid('VDI', uuid);
  leaf.fields['is_a_snapshot'] = true;
  return leaf;
}

/** Empty where there is no such file. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
}
