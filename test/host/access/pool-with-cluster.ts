import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Cluster } from '../../../lab/cluster/cluster.ts';
import { type Outcome, runProgram } from '../../../lab/machine/program.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import { keptBySr } from '../../../src/access/kept-access.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { loginXapi } from '../../../src/xapi/client.ts';
import { buildProduct, place, placeHost } from '../../support/folder-host.ts';
import { sudoersOfDocument } from '../ssh/sudoers-document.ts';

export const PASSWORD = 'c0rrect horse';

/** Of every SSH host: who may do what is in the document, and an administrator. */
export const SSH_USERS = [
  { name: 'rbdsr', password: PASSWORD, sudo: 'none', sudoers: sudoersOfDocument() },
  { name: 'boss', password: PASSWORD, sudo: 'password' },
] as const;

export interface Result {
  readonly code: number;
  readonly said: string;
}

export interface DivertedSr {
  readonly uuid: string;
  readonly row: Row;
  readonly pbd: Row;
  /** What it keeps. */
  kept(): Record<string, string>;
}

/**
 * The built command on a host that is a folder, xapi's double, a real monitor behind a real SSH server. Whether an SR
 * can be plugged is asked of the cluster, with the user and the key that a host would read.
 */
export class PoolWithCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'rbdsr-access-'));
  readonly root = join(this.folder, 'host');
  readonly run: RunFolder;
  readonly cluster: Cluster;
  readonly ssh: SshHost;
  xapi!: XapiDouble;
  /** What answers in the place of the driver: no image is mapped here. */
  driver: (request: string) => Outcome | Promise<Outcome> = () => {
    throw new Error('no driver is expected to be run');
  };
  readonly #product = join(this.folder, 'product');
  readonly #command = join(this.folder, 'rbdsr');
  readonly #socket = join(this.folder, 'xapi');

  private constructor(run: RunFolder, cluster: Cluster, ssh: SshHost) {
    this.run = run;
    this.cluster = cluster;
    this.ssh = ssh;
  }

  static async make(name: string): Promise<PoolWithCluster> {
    await sweepDeadRuns();
    const run = RunFolder.create();
    const cluster = await Cluster.start(run, { name });
    const ssh = await SshHost.start(run, cluster, { users: SSH_USERS, hostKeys: ['ed25519'] });
    await cluster.createImage('rbd/a', { sizeMiB: 8 });
    const made = new PoolWithCluster(run, cluster, ssh);
    await made.#startHost();
    return made;
  }

  async #startHost(): Promise<void> {
    buildProduct(this.#product);
    place(this.#command, (path) => symlinkSync(join(this.#product, 'launcher.sh'), path));
    const uuid = randomUUID();
    const exec = async (_host: string, program: string, argument: string): Promise<Outcome> =>
      program.startsWith('/etc/xapi.d/plugins/')
        ? runProgram([join(this.#product, 'plugin.sh'), argument], { env: this.#environment })
        : this.driver(argument);
    this.xapi = await startXapiDouble(
      { unixSocket: this.#socket },
      { exec },
      { profileId: '8.3b', hosts: [{ uuid, name: 'alpha' }] },
    );
    placeHost(this.root, uuid, this.#socket);
  }

  get #environment(): Record<string, string> {
    return { RBDSR_ROOT: this.root, RBDSR_HOME: this.#product, RBDSR_RUN: join(this.root, 'run') };
  }

  /** `rbdsr ...`, with one line on its standard input. */
  async rbdsr(args: readonly string[], stdin = '', env: Record<string, string> = {}): Promise<Result> {
    const argv = this.cluster.network.inside([this.#command, ...args]);
    const { code, stdout, stderr } = await runProgram(argv, {
      stdin: `${stdin}\n`,
      env: { ...this.#environment, ...env },
    });
    const said = stdout + stderr;
    expect(said).not.toContain(PASSWORD);
    for (const { fields } of this.xapi.db.all('secret')) expect(said).not.toContain(fields['value']);
    return { code, said };
  }

  /** The driver's entry that an iSCSI SR has, in this environment; there is no kernel here to map with. */
  drive(request: string, env: Record<string, string> = {}): Promise<Outcome> {
    const argv = this.cluster.network.inside([join(this.#product, 'divert.py'), request]);
    return runProgram(argv, { env: { ...this.#environment, ...env } });
  }

  secret(value: string): string {
    return stringOf(this.xapi.db.create('secret', { value }), 'uuid');
  }

  /** As `ssh-keyscan` writes it. */
  hostKeyLine(): string {
    return `${this.ssh.address} ${readFileSync(this.ssh.hostKeyFile(), 'utf8').split(' ').slice(0, 2).join(' ')}`;
  }

  /** As sr_create leaves it, the cephx user included. */
  async diverted(kept: Record<string, string> = {}, typed: Record<string, string> = {}): Promise<DivertedSr> {
    const uuid = randomUUID();
    const user = await this.cluster.createUser(`rbdsr-${uuid}`, ['rbd']);
    const row = this.xapi.db.create('SR', {
      uuid,
      type: 'lvmoiscsi',
      sm_config: {
        rbd_fsid: this.cluster.fsid,
        rbd_monitors: this.cluster.monitors.join(','),
        rbd_user: user.name,
        rbd_own_user: 'true',
        rbd_password_secret: this.secret(user.key),
        rbd_host_key: this.hostKeyLine(),
        ...kept,
      },
    });
    const pbd = this.xapi.db.create('PBD', {
      SR: row.ref,
      host: this.xapi.master.ref,
      currently_attached: true,
      device_config: {
        target: this.ssh.address,
        port: '6789',
        chapuser: 'rbdsr',
        chappassword_secret: this.secret(PASSWORD),
        targetIQN: 'rbd',
        SCSIid: 'a',
        ...typed,
      },
    });
    return { uuid, row, pbd, kept: () => mapOf(row, 'sm_config') };
  }

  /** With what a host would read at this moment: the user, where the cluster lets it open the image. */
  async pluggableBy({ row }: Pick<DivertedSr, 'row'>): Promise<string> {
    const own = await loginXapi({ socketPath: this.#socket, deadline: Deadline.after(30_000) });
    try {
      const kept = await keptBySr(own, row.ref);
      const user = kept?.user ?? 'none';
      const monitors = kept?.access.monitors.map(({ host }) => host).join(',') ?? '';
      await this.mustOpen(user, kept?.access.key.reveal() ?? '', monitors);
      return user;
    } finally {
      await own.logout();
    }
  }

  /** The cluster lets this user open the image with this key. */
  async mustOpen(user: string, key: string, monitors = this.cluster.monitors.join(',')): Promise<void> {
    const keyring = join(this.folder, 'keyring');
    writeFileSync(keyring, `[client.${user}]\n\tkey = ${key}\n`);
    const argv = ['rbd', '-c', '/dev/null', '-m', monitors, '-n', `client.${user}`, '-k', keyring, 'info', 'rbd/a'];
    const { code, stderr } = await runProgram(this.cluster.network.inside(argv));
    expect(code, stderr).toBe(0);
  }

  async exists(user: string): Promise<boolean> {
    return (await this.cluster.tryTool('ceph', 'auth', 'get', `client.${user}`)).code === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.xapi?.close();
    await this.ssh.stop();
    await this.cluster.destroy();
    await sweepRun(this.run.id);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
