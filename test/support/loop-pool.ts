import { execFile, execFileSync } from 'node:child_process';
import { hostProfile, type ProfileId } from '../../src/dom0/host-profile.ts';
import { parseHostSettings } from '../../src/dom0/host-settings.ts';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { XapiDouble } from '../../lab/xapi-double/double.ts';
import { registerDriver } from '../../lab/xapi-double/driver.ts';
import type { ExecResult, HostPort } from '../../lab/xapi-double/host-port.ts';
import { plugAll, srIntroduce } from '../../lab/xapi-double/sr-operations.ts';
import { startXapiDouble } from '../../lab/xapi-double/start.ts';
import { MiB } from '../../src/base/units.ts';
import { type LoopDevice, loopDevice } from './lvhd-loop.ts';
import { type OpenSr, openSrOn } from './lvhd-vectors.ts';
import { krbdStandIn, type StandingImage } from './krbd/krbd-stand-in.ts';
import { linux61, type Tree, writeTree } from './recorded-sysfs.ts';
import { buildProduct, place, placeHost } from './folder-host.ts';

const FSID = '7d4e2b0e-1111-4222-8333-944445555666';
/** Of the right shape; nobody is asked for it. */
const CEPHX_KEY = 'AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==';
const DRIVER = '/opt/xensource/sm/RBDSR';
const PROGRAMS: Readonly<Record<string, string>> = {
  [DRIVER]: 'launcher.sh',
  '/etc/xapi.d/plugins/rbdsr': 'plugin.sh',
};

/**
 * The built product on two hosts that are folders, with real LVM on one loop device in the place of the mapped image,
 * and xapi's double. There is no device-mapper here: what activates a volume fails, everything else is as on a host.
 */
export interface LoopPool extends AsyncDisposable {
  readonly double: XapiDouble;
  /** xapi's record of the SR, plugged on both hosts. */
  readonly srRef: string;
  /** The SR's, as an administrator gives it. */
  readonly deviceConfig: Readonly<Record<string, string>>;
  /** The SR's device, seen without the product. */
  readonly sr: OpenSr;
  readonly loop: Pick<LoopDevice, 'device' | 'file'>;
  /** The folder of the built product. */
  readonly product: string;
  /** The folder of the n-th host, the master's is 0. */
  root(index: number): string;
  /** Drivers that run meanwhile are started by this program: its arguments, then theirs. */
  startedBy<T>(prefix: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Drivers that run meanwhile have this in their environment. */
  withEnvironment<T>(environment: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T>;
  /** The programs that the drivers start meanwhile, the launcher's own among them, by name, as strace sees them. */
  programsOf(work: () => Promise<unknown>): Promise<readonly string[]>;
  /** What the drivers ask meanwhile. */
  askedBy(work: () => Promise<unknown>): Promise<Asked>;
}

/** What drivers ask of others while they run. */
export interface Asked {
  /** LVM's commands, in order. */
  readonly lvm: readonly string[];
  /** The programs but LVM and the launcher's own. */
  readonly programs: readonly string[];
  /** How often they open the SR's device themselves, beside LVM. */
  readonly opens: number;
  /** Those of `lvm` from the first call that pauses a disk to the last that lets one go on. */
  readonly inPause: readonly string[];
  /** Calls to xapi by name, with how often each is made. */
  readonly xapi: Readonly<Record<string, number>>;
}

/** What each command costs beside its work: one worker, and the launcher's own few. */
export const LAUNCHER: readonly string[] = ['launcher.sh', 'mkdir', 'setsid', 'node', 'sleep', 'cat'];

export interface LoopPoolOptions {
  readonly allocation?: 'thin' | 'thick';
  /** Bytes; default 1 GiB. */
  readonly sizeBytes?: number;
  /** Makes the volume group, and what is in it, before the SR is plugged; default an empty one. */
  readonly populate?: (sr: OpenSr) => Promise<unknown>;
  /** Default a new one. */
  readonly srUuid?: string;
  /** False: no host has the SR plugged. */
  readonly plug?: boolean;
  /**
   * Default the image is mapped on both hosts, for good. Else on none: the master's kernel maps and unmaps it, and
   * nobody else has the device open. Nothing is plugged then.
   */
  readonly mapped?: boolean;
  /** The version of both hosts and of the toolstack, which have our own data path all the same; default 8.3b. */
  readonly profile?: ProfileId;
}

export async function loopPool({
  sizeBytes = 1024 * MiB,
  populate = (sr) => sr.lvm.createVg(),
  srUuid = randomUUID(),
  mapped = true,
  plug = mapped,
  profile = '8.3b',
  ...o
}: LoopPoolOptions = {}): Promise<LoopPool> {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-pool-'));
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const end = async (): Promise<void> => {
    for (const step of undo) await step();
  };
  try {
    const product = join(folder, 'product');
    buildProduct(product);

    const loop = loopDevice(sizeBytes);
    undo.unshift(() => loop[Symbol.dispose]());
    const sr = await openSrOn(loop.device, srUuid);
    if (mapped) undo.unshift(() => sr[Symbol.asyncDispose]());
    await populate(sr);
    if (!mapped) await sr[Symbol.asyncDispose]();

    const hosts = [randomUUID(), randomUUID()].map((uuid) => ({ uuid, root: join(folder, uuid.slice(0, 8)) }));
    for (const { root } of hosts) placeSettings(root, profile);
    const image = { device: loop.device, attributes: attributesOf(loop.device) };
    const krbd = mapped ? undefined : await krbdStandIn(hosts[0]?.root ?? '', image);
    if (krbd === undefined) for (const { root } of hosts) placeMapping(root, image);
    else undo.unshift(() => krbd[Symbol.asyncDispose]());
    const monitors = krbd?.monitor ?? '127.0.0.1';
    let environment: Readonly<Record<string, string>> = {};
    let trace: string | undefined;
    const traceOf = async (work: () => Promise<unknown>): Promise<string> => {
      const file = join(folder, 'trace');
      writeFileSync(file, '');
      trace = file;
      try {
        await work();
        return whole(readFileSync(file, 'utf8'));
      } finally {
        trace = undefined;
      }
    };
    let starter: readonly string[] = [];
    const port: HostPort = {
      exec: (hostUuid, program, argument) => {
        const root = hosts.find(({ uuid }) => uuid === hostUuid)?.root ?? '';
        const own = { RBDSR_ROOT: root, RBDSR_HOME: product, RBDSR_RUN: join(root, 'run') };
        const argv = [...starter, join(product, PROGRAMS[program] ?? 'missing'), argument];
        const traced = trace === undefined ? argv : [...STRACE, trace, ...argv];
        return run(traced, { ...own, ...environment });
      },
    };
    const socket = join(folder, 'xapi');
    const double = await startXapiDouble({ unixSocket: socket }, port, { profileId: profile, hosts });
    undo.unshift(() => double.close());
    const { xapiSocket } = hostProfile(profile, parseHostSettings('', 'no file')).paths;
    for (const { uuid, root } of hosts) placeHost(root, uuid, socket, xapiSocket);

    await registerDriver(double, DRIVER);
    const deviceConfig = { monitors, pool: 'xen', image: 'sr1', user: 'xen', password: CEPHX_KEY, ...o };
    const { ref: srRef } = srIntroduce(double, {
      type: 'rbd',
      uuid: srUuid,
      deviceConfig,
      smConfig: { rbd_fsid: FSID, ...o },
    });
    const [failure] = plug ? await plugAll(double, srRef) : [];
    if (failure !== undefined) throw failure;
    return {
      double,
      srRef,
      deviceConfig,
      sr,
      loop,
      product,
      root: (index) => hosts[index]?.root ?? '',
      startedBy: async (prefix, work) => {
        starter = prefix;
        try {
          return await work();
        } finally {
          starter = [];
        }
      },
      withEnvironment: async (more, work) => {
        environment = more;
        try {
          return await work();
        } finally {
          environment = {};
        }
      },
      programsOf: async (work) => programsIn(await traceOf(work)).map(({ name }) => name),
      askedBy: async (work) => {
        const before = double.calls.length;
        const text = await traceOf(work);
        return { ...askedIn(text), xapi: countsOf(double.calls.slice(before).map(({ method }) => method)) };
      },
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function placeSettings(root: string, profile: ProfileId): void {
  const files = {
    '/etc/rbdsr/rbdsr.conf': `profile = ${profile}\ndatapath = nbd\ndeadline = 60\ncollect = by-hand\n`,
    '/etc/lvm/master/lvm.conf': 'global { activation = 0 }\n',
  };
  for (const [path, text] of Object.entries(files)) place(root + path, (at) => writeFileSync(at, text));
}

/** Of the image, which is this device, when it is mapped. */
function attributesOf(device: string): Tree {
  return {
    pool: 'xen',
    name: 'sr1',
    major: '7',
    minor: /[0-9]+$/.exec(device)?.[0] ?? '0',
    size: execFileSync('blockdev', ['--getsize64', device], { encoding: 'utf8' }).trim(),
    cluster_fsid: FSID,
  };
}

/** As Linux 6.1 shows a mapped image; the node is a link to the loop device. */
function placeMapping(root: string, { device, attributes }: StandingImage): void {
  const sysRoot = `${root}/sys`;
  writeTree({ sysRoot }, { 'bus/rbd/add_single_major': '', 'bus/rbd/remove_single_major': '' });
  writeTree({ sysRoot }, linux61(0, { ...attributes, config_info: '127.0.0.1:6789 name=xen xen sr1 -' }));
  place(`${root}/dev/rbd0`, (at) => symlinkSync(device, at));
}

/** Forgets what sr_attach has noted down on a host. */
export function loseAttachRecord(root: string, srUuid: string): void {
  unlinkSync(`${root}/var/run/rbdsr/sr/${srUuid}.json`);
}

/** Every execve and every open of the program and of what it starts goes to the file that follows. */
const STRACE = ['strace', '-f', '-qq', '-s', '256', '-e', 'trace=execve,openat', '-e', 'signal=none', '-A', '-o'];

/** A call that another process interrupted is two lines: one again. */
function whole(trace: string): string {
  const begun = new Map<string, string>();
  const lines = trace.split('\n').flatMap((line) => {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (rest.endsWith(' <unfinished ...>')) {
      begun.set(pid, line.slice(0, -' <unfinished ...>'.length));
      return [];
    }
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    return end === undefined ? [line] : [`${begun.get(pid) ?? pid}${end}`];
  });
  return lines.join('\n');
}

interface Started {
  readonly pid: string;
  readonly name: string;
  /** Its first argument. */
  readonly first: string;
}

function programsIn(trace: string): readonly Started[] {
  const lines = trace.matchAll(/^(\d+) +execve\("([^"]+)", \["[^"]*"(?:, "([^"]*)")?.* = 0$/gm);
  return [...lines].map(([, pid = '', at = '', first = '']) => ({ pid, name: basename(at), first }));
}

function askedIn(trace: string): Omit<Asked, 'xapi'> {
  const started = programsIn(trace);
  const lvm = started.filter(({ name }) => name === 'lvm');
  const ofLvm = new Set(lvm.map(({ pid }) => pid));
  const opened = [...trace.matchAll(/^(\d+) +openat\(AT_FDCWD, "[^"]*\/dev\/rbd0",.* = \d+$/gm)];
  return {
    lvm: lvm.map(({ first }) => first),
    inPause: programsIn(pausedIn(trace)).flatMap(({ name, first }) => (name === 'lvm' ? first : [])),
    programs: started.map(({ name }) => name).filter((name) => name !== 'lvm' && !LAUNCHER.includes(name)),
    opens: opened.filter(([, pid = '']) => !ofLvm.has(pid)).length,
  };
}

/** Empty where nothing is paused. */
function pausedIn(trace: string): string {
  const first = trace.indexOf(calling('pause'));
  return first < 0 ? '' : trace.slice(first, trace.lastIndexOf(calling('resume')));
}

/** As execve's arguments show the plug-in's request. */
function calling(fn: string): string {
  return `<methodName>${fn}</methodName>`;
}

/** By name, sorted. */
function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** As forkexecd does it. */
function run(
  [program = '', ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...environment };
    execFile(program, args, { env, maxBuffer: 16 * MiB }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr, code: 0 });
      else if (typeof error.code === 'number') resolve({ stdout, stderr, code: error.code });
      else reject(error);
    });
  });
}
