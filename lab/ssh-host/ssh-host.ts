import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { check, freezeProcess, pidOf, startDaemon, stopDaemon, thawProcess } from '../machine/program.ts';
import type { RunFolder } from '../machine/run-folder.ts';
import { accountFiles, KEY_FOLDER, type SshAccount } from './accounts.ts';

export interface SshHostOptions {
  readonly users: readonly SshAccount[];
  /** Default 22: nothing else listens in the cluster's network. */
  readonly port?: number;
  /** Distinguishes several hosts of one run. */
  readonly name?: string;
  /** The host has no ceph tools: none at all, or those of a cephadm cluster, which are in containers. */
  readonly hideCeph?: 'absent' | 'cephadm';
  /** A program that stands at /usr/bin/ceph in front of the real one, which is /usr/bin/ceph-real there. */
  readonly ceph?: string;
  /** There is no admin keyring. */
  readonly hideKeyring?: boolean;
  /** Lines of sshd_config. */
  readonly sshdConfig?: readonly string[];
  /** Key types of `ssh-keygen -t`; default all three. */
  readonly hostKeys?: readonly string[];
}

/** A place for a host without Ceph. */
export interface BareNetwork {
  readonly network: NetworkNamespace;
  readonly address: string;
}

/**
 * A monitor's host as an administrator sees it: a real sshd on the first monitor's address, with sudo, ceph tools,
 * /etc/ceph and accounts of its own. It runs in a mount namespace in which /etc is an overlay, so that nothing of this
 * machine changes.
 */
export class SshHost {
  readonly address: string;
  readonly port: number;
  readonly #folder: string;
  readonly #sshd: ChildProcess;

  private constructor(address: string, port: number, folder: string, sshd: ChildProcess) {
    this.address = address;
    this.port = port;
    this.#folder = folder;
    this.#sshd = sshd;
  }

  /** Listening. */
  static async start(run: RunFolder, where: Cluster | BareNetwork, o: SshHostOptions): Promise<SshHost> {
    const { port = 22, name = 'ssh-host', hostKeys = ['ed25519', 'ecdsa', 'rsa'] } = o;
    const folder = run.folder(name);
    const address = 'address' in where ? where.address : (monitorAddresses(where)[0] ?? '');
    const files = new Map([...(await accountFiles(o.users)), ...('address' in where ? [] : await cephFiles(where, o))]);
    for (const type of hostKeys) await check(['ssh-keygen', '-q', '-t', type, '-N', '', '-f', join(folder, type)]);
    files.set('etc/ssh/sshd_config', sshdConfig(folder, hostKeys, address, port, o.sshdConfig ?? []));
    if (o.ceph !== undefined) files.set('ceph', o.ceph);
    writeStage(join(folder, 'stage'), files);
    mkdirSync(join(folder, 'scratch'));
    writeFileSync(join(folder, 'enter.sh'), ENTER);
    const hidden = o.hideCeph === undefined ? '' : 'ceph rbd';
    const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', join(folder, 'enter.sh'), folder, hidden];
    const log = join(folder, 'sshd.log');
    const host = new SshHost(address, port, folder, startDaemon(where.network.inside(argv), log));
    await host.#listening(log);
    return host;
  }

  /** "SHA256:...", as ssh-keygen prints it. */
  async hostKeyFingerprint(type = 'ed25519'): Promise<string> {
    const printed = await check(['ssh-keygen', '-l', '-E', 'sha256', '-f', this.hostKeyFile(type)]);
    return printed.split(' ')[1] ?? '';
  }

  /** The public half. */
  hostKeyFile(type = 'ed25519'): string {
    return join(this.#folder, `${type}.pub`);
  }

  /** From now on this key opens the account. */
  authorise(user: string, publicKey: string): void {
    writeFileSync(`/proc/${this.#sshd.pid}/root/${KEY_FOLDER}/${user}`, `${publicKey}\n`);
  }

  /** Whatever was said to sshd, and what it said. */
  get log(): string {
    return readFileSync(join(this.#folder, 'sshd.log'), 'utf8');
  }

  /** sshd stops answering without closing a connection. */
  freeze(): Promise<void> {
    return freezeProcess(pidOf(this.#sshd));
  }

  thaw(): void {
    thawProcess(pidOf(this.#sshd));
  }

  /** Ends sshd and what runs on behalf of those who logged in. */
  async stop(): Promise<void> {
    const own = mountsOf(this.#sshd.pid);
    await stopDaemon(this.#sshd);
    for (const pid of readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry))) {
      if (own !== undefined && mountsOf(Number(pid)) === own) process.kill(Number(pid), 'SIGKILL');
    }
  }

  async #listening(log: string): Promise<void> {
    for (let turn = 0; turn < 200; turn += 1) {
      if (readFileSync(log, 'utf8').includes('Server listening')) return;
      if (this.#sshd.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`sshd does not listen: ${this.log}`);
  }
}

/** $1 the folder of the host, $2 the programs it lacks. */
const ENTER = `set -e
mount -t tmpfs tmpfs "$1/scratch"
cover() {
  mkdir -p "$2/up" "$2/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$1"
}
cover /etc "$1/scratch/etc"
rm -rf /etc/ceph /etc/sudoers.d /etc/ssh/sshd_config.d
cp -r "$1/stage/etc/." /etc/
chmod 644 /etc/passwd /etc/group
chmod 640 /etc/shadow
chgrp 42 /etc/shadow
chmod 440 /etc/sudoers
mkdir -p /etc/ceph
chmod 755 /etc/ceph
for key in /etc/ceph/*.keyring; do [ ! -e "$key" ] || chmod 600 "$key"; done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
mount -t tmpfs -o mode=755 tmpfs /home
[ ! -d "$1/stage/home" ] || cp -r "$1/stage/home/." /home/
cut -d: -f1,3,6 /etc/passwd | while IFS=: read -r name id home; do
  case $home in /home/*) mkdir -p "$home" && chown -R "$id" "$home" ;; esac
done
if [ -n "$2" ] || [ -e "$1/stage/ceph" ]; then
  cover /usr/bin "$1/scratch/bin"
  for program in $2; do rm -f "/usr/bin/$program"; done
  if [ -e "$1/stage/ceph" ]; then
    mv /usr/bin/ceph /usr/bin/ceph-real
    cp "$1/stage/ceph" /usr/bin/ceph
    chmod 755 /usr/bin/ceph
  fi
fi
cd /
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
`;

function monitorAddresses(cluster: Cluster): readonly string[] {
  return cluster.monitors.map((monitor) => monitor.replace(/:[0-9]+$/, ''));
}

async function cephFiles(cluster: Cluster, o: SshHostOptions): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const list = monitorAddresses(cluster)
    .map((address) => `[v2:${address}:3300,v1:${address}:6789]`)
    .join(' ');
  files.set('etc/ceph/ceph.conf', `[global]\nfsid = ${cluster.fsid}\nmon_host = ${list}\n`);
  if (o.hideKeyring !== true) {
    const key = await cluster.userKey('admin');
    files.set('etc/ceph/ceph.client.admin.keyring', `[client.admin]\n\tkey = ${key}\n`);
  }
  if (o.hideCeph === 'cephadm') files.set(`etc/systemd/system/ceph-${cluster.fsid}@.service`, '[Unit]\n');
  return files;
}

function sshdConfig(
  folder: string,
  hostKeys: readonly string[],
  address: string,
  port: number,
  more: readonly string[],
): string {
  return [
    // sshd takes the first value of each word.
    ...more,
    `ListenAddress ${address}:${port}`,
    ...hostKeys.map((type) => `HostKey ${join(folder, type)}`),
    `AuthorizedKeysFile /${KEY_FOLDER}/%u`,
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication yes',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'UseDNS no',
    'PidFile none',
    'LogLevel VERBOSE',
    '',
  ].join('\n');
}

function writeStage(stage: string, files: ReadonlyMap<string, string>): void {
  for (const [path, contents] of files) {
    const target = join(stage, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, contents);
  }
}

function mountsOf(pid: number | undefined): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
