import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { mapOf, type Row } from '../../../lab/xapi-double/database.ts';
import { driverOf, pbdOn, runDriver, srCall } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srDestroy, srForget, srIntroduce, srProbe, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { vgName } from '../../../src/lvhd/names.ts';
import { surveyDevice } from '../../../src/lvm/pv-label.ts';
import { killedAt } from '../../support/killed-at.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';
import { CephStandIn } from '../../support/stand-ins/recorded-ceph.ts';

const SIZE_MIB = 128;
/** Of the image that loopPool names, in the recorded cluster. */
const THERE = `image of ${SIZE_MIB} MiB`;
const ABSENT = 'no image';

/** What there is of an SR: in the cluster, in the master's kernel, on the image, in the master's notes, in xapi. */
export interface SrState {
  readonly image: 'absent' | 'there';
  readonly mapped: 'no' | 'read-only' | 'yes';
  readonly holds: 'nothing' | 'remains' | 'an empty SR' | 'an SR';
  /** By sr_attach. */
  readonly noted: boolean;
  /** In SR.sm_config, by sr_create. */
  readonly recorded: boolean;
}

/** An image, and the one SR that comes and goes on it, on one host, by the calls that xapi makes of the driver. */
export class ImageForSr {
  readonly pool: LoopPool;
  readonly #tools: CephStandIn;
  #uuid = '';
  #sr: Row | undefined;
  /** Of an SR whose record xapi has dropped since. */
  #wasRecorded = false;

  private constructor(pool: LoopPool, tools: CephStandIn) {
    this.pool = pool;
    this.#tools = tools;
  }

  static async make(): Promise<ImageForSr> {
    const pool = await loopPool({ sizeBytes: SIZE_MIB * MiB, mapped: false, populate: async () => undefined });
    const tools = new CephStandIn(mkdtempSync(join(tmpdir(), 'rbdsr-tools-')), { state: THERE });
    const made = new ImageForSr(pool, tools);
    await srForget(pool.double, pool.srRef);
    return made;
  }

  /** A new SR on a blank image: nothing of it is there. `absent`: the image has to be made, too. */
  async begin(image: SrState['image'] = 'there'): Promise<void> {
    await this.#clear();
    this.#uuid = randomUUID();
    this.#wasRecorded = false;
    execFileSync('blkdiscard', ['--zeroout', this.pool.loop.device]);
    this.#tools.state = image === 'absent' ? ABSENT : THERE;
  }

  /** SR.create up to its plugs; where the driver fails xapi drops its records. `size` in device_config. */
  async create(size?: string): Promise<void> {
    const { double } = this.pool;
    const sr = (this.#sr = this.#introduced(size));
    const call = { ...srCall(double, sr.ref, double.master.ref), command: 'sr_create', args: ['0'], srMaster: true };
    try {
      await this.#run(call);
    } catch (error) {
      this.#wasRecorded = isRecorded(sr);
      await srForget(double, sr.ref);
      this.#sr = undefined;
      throw error;
    }
  }

  /** `xe sr-introduce`, pbd-create, pbd-plug. */
  async introduce(): Promise<void> {
    this.#sr = this.#introduced();
    await this.attach();
  }

  attach(): Promise<void> {
    return this.#among(() => pbdPlug(this.pool.double, this.#pbd.ref));
  }

  detach(): Promise<void> {
    return this.#among(() => unplugAll(this.pool.double, this.#ref));
  }

  /** SR.destroy but for the sr_detach after a failure: what is left then is to be seen. */
  async delete(): Promise<void> {
    const { double } = this.pool;
    await this.detach();
    await this.attach();
    await this.#run({ ...srCall(double, this.#ref, double.master.ref), command: 'sr_delete' });
    this.#pbd.fields['currently_attached'] = false;
    await this.forget();
  }

  async forget(): Promise<void> {
    await this.#among(() => srForget(this.pool.double, this.#ref));
    this.#sr = undefined;
  }

  probe(): Promise<string> {
    const { double, deviceConfig } = this.pool;
    return this.#among(() => srProbe(double, { type: 'rbd', deviceConfig }));
  }

  killedAt(point: string, call: () => Promise<unknown>): Promise<void> {
    const { pool } = this;
    return killedAt(pool.double, (environment, work) => pool.withEnvironment(environment, work), point, call);
  }

  async state(): Promise<SrState> {
    const root = this.pool.root(0);
    const ro = `${root}/sys/block/rbd0/ro`;
    const isMapped = existsSync(`${root}/sys/bus/rbd/devices/0`);
    return {
      image: this.#tools.state === THERE ? 'there' : 'absent',
      mapped: !isMapped ? 'no' : readFileSync(ro, 'utf8') === '1\n' ? 'read-only' : 'yes',
      holds: await this.#content(),
      noted: existsSync(`${root}/var/run/rbdsr/sr/${this.#uuid}.json`),
      recorded: this.#sr === undefined ? this.#wasRecorded : isRecorded(this.#sr),
    };
  }

  /** An SR that there is can be attached, is whole, and can be deleted; nothing is left then but the image. */
  async allIsWell(): Promise<void> {
    const { double, loop } = this.pool;
    if (this.#sr !== undefined) {
      await this.attach();
      {
        await using open = await openSrOn(loop.device, this.#uuid);
        expect((await open.report()).lvs.map(({ name }) => name)).toEqual(['MGT']);
        const { sr, problems } = await new MetadataVolume(await open.openLv('MGT', 'read')).read();
        expect([sr.uuid, problems]).toEqual([this.#uuid, []]);
      }
      await this.detach();
      await this.#among(() => srDestroy(double, this.#ref));
      this.#sr = undefined;
      expect(await this.#content()).toBe('nothing');
    }
    expect(await this.state()).toMatchObject({ image: 'there', mapped: 'no', noted: false });
    expect(double.offences).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
    rmSync(this.#tools.folder, { recursive: true, force: true });
  }

  /** Whatever a test that failed has left: the next is to fail by itself alone. */
  async #clear(): Promise<void> {
    const root = this.pool.root(0);
    for (const path of ['sys/bus/rbd/devices/0', 'sys/block/rbd0', 'dev/rbd0', 'var/run/rbdsr/sr'])
      rmSync(join(root, path), { recursive: true, force: true });
    if (this.#sr === undefined) return;
    this.#pbd.fields['currently_attached'] = false;
    await srForget(this.pool.double, this.#ref);
    this.#sr = undefined;
  }

  async #content(): Promise<SrState['holds']> {
    await using open = await openSrOn(this.pool.loop.device, this.#uuid);
    const survey = await surveyDevice(open.pvIo);
    if (survey.kind === 'blank') return 'nothing';
    if (survey.kind !== 'vg' || survey.vgName !== vgName(srUuid(this.#uuid))) return 'remains';
    return (await open.report()).lvs.length === 0 ? 'an empty SR' : 'an SR';
  }

  #introduced(size?: string): Row {
    const deviceConfig = { ...this.pool.deviceConfig, ...(size === undefined ? {} : { size }) };
    return srIntroduce(this.pool.double, { type: 'rbd', uuid: this.#uuid, deviceConfig });
  }

  async #run(call: Parameters<typeof runDriver>[3]): Promise<void> {
    const { double } = this.pool;
    const answer = await this.#among(() => runDriver(double, double.master.ref, driverOf(double, 'rbd'), call));
    answer.unit();
  }

  get #ref(): string {
    if (this.#sr === undefined) throw new Error('there is no SR');
    return this.#sr.ref;
  }

  get #pbd(): Row {
    return pbdOn(this.pool.double, this.#ref, this.pool.double.master.ref);
  }

  /** With the ceph tools of this cluster in the place of the machine's. */
  async #among<T>(work: () => Promise<T>): Promise<T> {
    const mounts = ['rbd', 'ceph'].map((name) => `mount --bind '${join(this.#tools.folder, name)}' /usr/bin/${name}`);
    const prefix = ['unshare', '-m', 'sh', '-c', [...mounts, 'exec "$@"'].join(' && '), 'sh'];
    try {
      return await this.pool.startedBy(prefix, work);
    } finally {
      this.#tools.check();
    }
  }
}

function isRecorded(sr: Row): boolean {
  return mapOf(sr, 'sm_config')['use_vhd'] === 'true';
}
