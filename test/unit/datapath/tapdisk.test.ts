import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import type { Disk } from '../../../src/datapath/datapath.ts';
import { linksOf } from '../../../src/datapath/links.ts';
import { TapCtl } from '../../../src/datapath/tapdisk/tap-ctl.ts';
import { TapdiskNote } from '../../../src/datapath/tapdisk/tapdisk-note.ts';
import { TapdiskDataPath } from '../../../src/datapath/tapdisk/tapdisk-data-path.ts';
import { launchTapdisk } from '../../../src/datapath/tapdisk/tapdisk-launch.ts';
import { diskOfPath } from '../../../src/lvhd/disk-of-path.ts';
import { dmName } from '../../../src/lvm/dm-name.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { childProgram } from '../../support/lvhd-child.ts';
import { MemoryDisk } from './memory-disk.ts';
import { lives, tapdiskHost } from './tapdisk-host.ts';
import type { TapdiskHost } from './tapdisk-host.ts';
import { nameVolume } from './volume-nodes.ts';

const SR = srUuid('11111111-2222-3333-4444-555555555555');
const VDI = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
const OTHER_VDI = vdiUuid('bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee');
const LIFE = ['allocate', 'spawn', 'attach', 'open'];
const soon = (): Deadline => Deadline.after(20_000);

describe('tapdisk', () => {
  let standIn: TapdiskHost;
  let dataPath: TapdiskDataPath;
  let emptyVhd: Buffer;
  beforeAll(async () => {
    const io = new MemoryDisk(5 * MiB);
    await createVhd(io, { virtualSizeBytes: 4 * MiB, uuid: VDI, timestamp: new Date() });
    emptyVhd = io.bytes;
  });
  beforeEach(() => {
    standIn = tapdiskHost({ closeTimeoutSeconds: 120 });
    dataPath = new TapdiskDataPath(standIn.host, diskOfPath);
  });
  afterEach(() => {
    delete process.env['RBDSR_FAULT'];
    standIn.remove();
  });

  test('starts with allocate, spawn, attach and open of the volume, and ends the other way round', async () => {
    await dataPath.activate(disk(), soon());
    const pid = standIn.spawned()[0];
    expect(standIn.calls()).toEqual([
      'allocate',
      'spawn',
      `attach -p ${pid} -m 0`,
      `open -p ${pid} -m 0 -a vhd:${disk().target}`,
    ]);
    await dataPath.deactivate(disk(), soon());
    expect(standIn.calls().slice(4)).toEqual([`close -p ${pid} -m 0 -t 120`, `detach -p ${pid} -m 0`, 'free -m 0']);
    expect(standIn.minors()).toEqual({});
  });

  test('opens a disk that is not writable with -R', async () => {
    await dataPath.activate({ ...disk(), writable: false, kind: 'aio' }, soon());
    expect(standIn.minors()['0']).toMatchObject({ readOnly: true, image: `aio:${disk().target}` });
  });

  test('a tapdisk that is not ready in time (exit 1) is tried again, any other failure is not', async () => {
    standIn.failNext('spawn', 1, 2);
    await dataPath.activate(disk(), soon());
    expect(standIn.calls().filter((call) => call === 'spawn')).toHaveLength(3);
    await dataPath.deactivate(disk(), soon());
    standIn.failNext('spawn', 13);
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({ code: 'tapdisk-failed' });
    expect(standIn.calls().filter((call) => call === 'spawn')).toHaveLength(4);
  });

  test.each([
    ['allocate', 28, 'No space left on device'],
    ['spawn', 13, 'Permission denied'],
    ['attach', 111, 'Connection refused'],
    ['open', 22, 'Invalid argument'],
  ])('a failure of %s undoes what was done and names program, code and text', async (subcommand, code, text) => {
    standIn.failNext(subcommand, code);
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({
      code: 'tapdisk-failed',
      detail: { facts: { subcommand, code, stderr: text } },
    });
    expect(standIn.minors()).toEqual({});
    expect(standIn.spawned().filter(lives)).toEqual([]);
    expect(existsSync(linksOf(standIn.host, disk()).phy)).toBe(false);
  });

  test('a failing undo does not hide the first failure', async () => {
    standIn.failNext('open', 22);
    standIn.failNext('free', 16);
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({
      detail: { facts: { subcommand: 'open' } },
    });
  });

  test('a close that fails leaves the disk active', async () => {
    await dataPath.activate(disk(), soon());
    standIn.failNext('close', 110);
    await expect(dataPath.deactivate(disk(), soon())).rejects.toMatchObject({ code: 'tapdisk-failed' });
    expect(await dataPath.status(disk(), soon())).toMatchObject({ pid: standIn.spawned()[0] });
    expect(existsSync(linksOf(standIn.host, disk()).phy)).toBe(true);
  });

  test.each([
    ['detach', 111],
    ['free', 16],
  ])('a deactivation that stopped at %s is finished by the next', async (subcommand, code) => {
    await dataPath.activate(disk(), soon());
    standIn.failNext(subcommand, code);
    await expect(dataPath.deactivate(disk(), soon())).rejects.toMatchObject({ code: 'tapdisk-failed' });
    await dataPath.deactivate(disk(), soon());
    const { phy, backend = '' } = linksOf(standIn.host, disk());
    expect([existsSync(phy), existsSync(backend)]).toEqual([false, false]);
    // Once the names are gone nothing tells whose the minor is: it may cost a minor, never another disk.
    if (subcommand === 'detach') expect(standIn.minors()).toEqual({});
  });

  test('an activation that stopped after open is finished by the next with the same tapdisk', async () => {
    process.env['RBDSR_FAULT'] = 'tapdisk.opened!error';
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({ code: 'fault-point' });
    delete process.env['RBDSR_FAULT'];
    await dataPath.activate(disk(), soon());
    expect(standIn.spawned()).toHaveLength(1);
    const nbd = linksOf(standIn.host, disk()).nbd ?? '';
    expect(readlinkSync(nbd)).toBe(`${standIn.host.paths.blktapControlDir}/nbd${standIn.spawned()[0]}.0`);
  });

  // Of blktap before 3.35 (XenServer and XCP-ng up to 8.1), whose list names no minor without a tapdisk.
  describe('where list knows only minors of tapdisks', () => {
    beforeEach(() => {
      standIn.remove();
      standIn = tapdiskHost({}, { blktap: '3.30.0' });
      dataPath = new TapdiskDataPath(standIn.host, diskOfPath);
    });

    test.each(['tapdisk.allocated', 'tapdisk.spawned', 'tapdisk.attached'])(
      'the minor of a call killed at %s is let go of',
      async (point) => {
        using child = await childProgram(`${import.meta.dirname}/tapdisk-child.ts`);
        const { signal, output } = await child.run([JSON.stringify([standIn.host, disk()])], { RBDSR_FAULT: point });
        expect(signal, output).toBe('SIGKILL');
        await dataPath.deactivate(disk(), soon());
        expect(standIn.minors()).toEqual({});
      },
    );

    test('so is that of a tapdisk that was killed, or detached by a call that was', async () => {
      await dataPath.activate(disk(), soon());
      const [pid = 0] = standIn.spawned();
      process.kill(pid, 'SIGKILL');
      while (lives(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
      await dataPath.activate(disk(), soon());
      expect(Object.keys(standIn.minors())).toEqual(['0']);
      process.env['RBDSR_FAULT'] = 'tapdisk.detached!error';
      await expect(dataPath.deactivate(disk(), soon())).rejects.toMatchObject({ code: 'fault-point' });
      delete process.env['RBDSR_FAULT'];
      await dataPath.deactivate(disk(), soon());
      expect(standIn.minors()).toEqual({});
    });
  });

  // As 4.0.8 was recorded to list a tapdisk that says who it is, and then nothing for ten seconds; 3.30 names less.
  describe.each(['3.30.0', '4.0.8'])(
    'a tapdisk that serves the disk, and of which blktap %s hears nothing',
    (blktap) => {
      let busy: ChildProcess;
      const refused = {
        code: 'tapdisk-running',
        detail: { what: expect.stringMatching(/^tapdisk pid [0-9]+ has .* open/) },
      };
      beforeEach(async () => {
        standIn.remove();
        standIn = tapdiskHost({ kernelNodes: blktap !== '4.0.8' }, { blktap });
        dataPath = new TapdiskDataPath(standIn.host, diskOfPath);
        await dataPath.activate(disk(), soon());
        const volume = openSync(disk().target, 'r');
        busy = spawn('sleep', ['120'], { stdio: ['ignore', 'ignore', 'ignore', volume] });
        closeSync(volume);
        standIn.fallSilent(busy.pid ?? 0);
      });
      afterEach(() => busy.kill('SIGKILL'));

      test('gets no other beside it, and the disk is not called inactive', async () => {
        const before = standIn.calls();
        await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject(refused);
        for (let attempt = 1; attempt <= 2; attempt += 1)
          await expect(dataPath.deactivate(disk(), soon())).rejects.toMatchObject(refused);
        await expect(dataPath.pause(disk(), soon())).rejects.toMatchObject(refused);
        await expect(dataPath.resume(disk(), soon())).rejects.toMatchObject(refused);
        await expect(dataPath.status(disk(), soon())).rejects.toMatchObject(refused);
        await expect(dataPath.list(SR, soon())).rejects.toMatchObject(refused);
        expect(standIn.calls()).toEqual(before);
        expect(readlinkSync(linksOf(standIn.host, disk()).phy)).toBe(disk().target);
      });

      test('is not what keeps another disk from being served', async () => {
        await dataPath.activate(disk(OTHER_VDI), soon());
        expect(await dataPath.status(disk(OTHER_VDI), soon())).toMatchObject({ paused: false });
      });

      test('is not ended by a note that names it', async () => {
        const { phy } = linksOf(standIn.host, disk());
        const note = new TapdiskNote(`${standIn.root}/note`);
        note.spawned(0, busy.pid ?? 0);
        const tapCtl = new TapCtl({ program: `${standIn.root}/usr/sbin/tap-ctl`, deadline: soon() });
        await expect(note.takeAway(tapCtl, phy)).rejects.toMatchObject(refused);
        expect(lives(busy.pid ?? 0)).toBe(true);
      });
    },
  );

  test('a disk is paused once, and resumed once, by what the list says', async () => {
    await dataPath.activate(disk(), soon());
    for (let time = 1; time <= 2; time += 1) expect(await dataPath.pause(disk(), soon())).toBe(true);
    expect(await dataPath.status(disk(), soon())).toMatchObject({ paused: true });
    for (let time = 1; time <= 2; time += 1) await dataPath.resume(disk(), soon());
    expect(await dataPath.status(disk(), soon())).toMatchObject({ paused: false });
    expect(standIn.calls().map((call) => call.split(' ')[0])).toEqual([...LIFE, 'pause', 'unpause']);
  });

  test('a tapdisk that has stopped is waited for until the deadline, and gets no other beside it', async () => {
    await dataPath.activate(disk(), soon());
    standIn.stop();
    const before = standIn.calls();
    for (const verb of ['activate', 'deactivate'] as const)
      await expect(dataPath[verb](disk(), Deadline.after(3000))).rejects.toMatchObject({ code: 'deadline' });
    expect(standIn.calls()).toEqual(before);
  });

  describe.each(['tapdisk.allocated', 'tapdisk.spawned', 'tapdisk.attached'])('a call killed at %s', (point) => {
    beforeEach(async () => {
      // Of another driver, idle.
      execFileSync(`${standIn.root}/usr/sbin/tap-ctl`, ['allocate']);
      execFileSync(`${standIn.root}/usr/sbin/tap-ctl`, ['spawn']);
      using child = await childProgram(`${import.meta.dirname}/tapdisk-child.ts`);
      const { signal, output } = await child.run([JSON.stringify([standIn.host, disk()])], { RBDSR_FAULT: point });
      expect(signal, output).toBe('SIGKILL');
    });

    test('activating again takes away what it made, and nothing else', async () => {
      await dataPath.activate(disk(), soon());
      expect(Object.entries(standIn.minors()).map(([minor, { image }]) => [minor, image])).toEqual([
        ['0', undefined],
        ['1', `vhd:${disk().target}`],
      ]);
      expect(standIn.spawned().filter(lives)).toEqual([standIn.spawned()[0], standIn.spawned().at(-1)]);
    });

    test('so does deactivating, twice', async () => {
      await dataPath.deactivate(disk(), soon());
      await dataPath.deactivate(disk(), soon());
      expect(Object.keys(standIn.minors())).toEqual(['0']);
      expect(standIn.spawned().filter(lives)).toEqual([standIn.spawned()[0]]);
    });
  });

  test('a note is not believed about a process, or a minor, that is somebody else’s by now', async () => {
    await dataPath.activate(disk(OTHER_VDI), soon());
    const [pid = 0] = standIn.spawned();
    const note = `${standIn.host.paths.runDir}/tapdisk/${VDI}.json`;
    mkdirSync(dirname(note), { recursive: true });
    for (const made of [
      { minor: 0 },
      { minor: 0, pid },
      { minor: 7, pid, startedAt: 1 },
      { minor: 0, pid, startedAt: 1 },
    ]) {
      writeFileSync(note, JSON.stringify(made));
      await dataPath.deactivate(disk(), soon());
      expect(existsSync(note)).toBe(false);
    }
    expect(await dataPath.status(disk(OTHER_VDI), soon())).toMatchObject({ pid });
  });

  test("a node that leads to another disk's tapdisk is refused, and deactivating does not touch that tapdisk", async () => {
    await dataPath.activate(disk(OTHER_VDI), soon());
    const backend = linksOf(standIn.host, disk()).backend ?? '';
    mkdirSync(dirname(backend), { recursive: true });
    execFileSync('mknod', [backend, 'b', '254', '0']);
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({
      code: 'vdi-unavailable',
      detail: { facts: { path: backend, expected: 'a block device 254:1', found: 'a block device 254:0' } },
    });
    await dataPath.deactivate(disk(), soon());
    expect(existsSync(backend)).toBe(false);
    expect(Object.keys(standIn.minors())).toEqual(['0']);
    expect(await dataPath.status(disk(OTHER_VDI), soon())).toMatchObject({ pid: standIn.spawned()[0] });
  });

  test('a disk already served as another type is refused', async () => {
    await dataPath.activate(disk(), soon());
    await expect(dataPath.activate({ ...disk(), kind: 'aio' }, soon())).rejects.toMatchObject({
      code: 'tapdisk-running',
    });
    expect(standIn.spawned()).toHaveLength(1);
  });

  test.each(['links', 'nodes'] as const)('a disk is opened with its parent, /dev/mapper of %s', async (style) => {
    const vg = `VG_XenStorage-${SR}`;
    const [base, leaf] = [`VHD-${OTHER_VDI}`, `VHD-${VDI}`];
    writeFileSync(nameVolume(standIn.root, style, vg, base, 0), emptyVhd);
    const io = new MemoryDisk(5 * MiB);
    const child = { virtualSizeBytes: 4 * MiB, uuid: OTHER_VDI, timestamp: new Date() };
    await createChild(io, child, { name: dmName(vg, base), uuid: VDI, modified: 0 });
    writeFileSync(nameVolume(standIn.root, style, vg, leaf, 1), io.bytes);
    const target = `${standIn.root}/dev/${vg}/${leaf}`;
    await dataPath.activate({ sr: SR, vdi: VDI, kind: 'vhd', target, writable: true, parents: [] }, soon());
    expect(standIn.minors()['0']?.chain).toEqual([`/dev/${vg}/${leaf}`, `/dev/mapper/${dmName(vg, base)}`]);
  });

  test('the tapdisk of a disk whose volume has another name since is found, and its link is made anew', async () => {
    const { target, ...active } = disk();
    await dataPath.activate({ ...active, target }, soon());
    const { phy } = linksOf(standIn.host, active);
    const renamed = target.replace('VHD-', 'LV-');
    renameSync(target, renamed);
    await dataPath.activate({ ...active, target: renamed }, soon());
    expect([standIn.spawned().length, readlinkSync(phy)]).toEqual([1, renamed]);
    await dataPath.deactivate(active, soon());
    expect(standIn.minors()).toEqual({});
  });

  test('a tapdisk that release 0.1.0 gave the phy link is found', async () => {
    const { phy } = linksOf(standIn.host, disk());
    mkdirSync(dirname(phy), { recursive: true });
    symlinkSync(disk().target, phy);
    const tapCtl = new TapCtl({ program: `${standIn.root}/usr/sbin/tap-ctl`, deadline: soon() });
    const note = new TapdiskNote(`${standIn.root}/note`);
    await launchTapdisk(tapCtl, { kind: 'vhd', path: phy, writable: true, root: standIn.root, note }, soon());
    expect(await dataPath.list(SR, soon())).toHaveLength(1);
    await dataPath.activate(disk(), soon());
    expect(standIn.spawned()).toHaveLength(1);
    await dataPath.deactivate(disk(), soon());
    expect(standIn.minors()).toEqual({});
  });

  test('a dangling link is replaced', async () => {
    const { phy } = linksOf(standIn.host, disk());
    mkdirSync(dirname(phy), { recursive: true });
    symlinkSync(`${standIn.root}/dev/gone`, phy);
    await dataPath.activate(disk(), soon());
    expect(readlinkSync(phy)).toBe(disk().target);
  });

  test('deactivating removes what stock leaves beside the node', async () => {
    await dataPath.activate(disk(), soon());
    const info = `${linksOf(standIn.host, disk()).backend}.attach_info`;
    writeFileSync(info, '<xml/>');
    await dataPath.deactivate(disk(), soon());
    expect(existsSync(info)).toBe(false);
  });

  test('the memory pool and its size reach sysfs', async () => {
    const blktap = `${standIn.root}/sys/class/blktap2/blktap!blktap0`;
    const pool = `${standIn.root}/sys/class/misc/blktap!control/pools/${SR}`;
    for (const folder of [blktap, pool]) mkdirSync(folder, { recursive: true });
    writeFileSync(`${blktap}/pool`, 'default');
    writeFileSync(`${pool}/size`, '352');
    await dataPath.activate({ ...disk(), memoryPool: { name: SR, pages: 704 } }, soon());
    expect(readFileSync(`${blktap}/pool`, 'utf8')).toMatch(new RegExp(`^${SR}`));
    expect(readFileSync(`${pool}/size`, 'utf8')).toBe('704');
  });

  test('a host without tap-ctl says so', async () => {
    rmSync(`${standIn.root}/usr/sbin/tap-ctl`);
    await expect(dataPath.activate(disk(), soon())).rejects.toMatchObject({ code: 'program-missing' });
  });

  function disk(vdi = VDI): Disk {
    const target = `${standIn.root}/dev/VG_XenStorage-${SR}/VHD-${vdi}`;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, emptyVhd);
    return { sr: SR, vdi, kind: 'vhd', target, writable: true, parents: [] };
  }
});
