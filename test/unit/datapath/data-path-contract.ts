import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import type { DataPath, Disk } from '../../../src/datapath/datapath.ts';
import type { DataPathHost } from '../../../src/datapath/datapath-host.ts';
import { linksOf } from '../../../src/datapath/links.ts';

/** One host with one way for guests to reach disks, and what a test has to know to look behind the interface. */
export interface ContractHost {
  readonly host: DataPathHost;
  readonly dataPath: DataPath;
  /** Kills what serves the disk, as the kernel's out-of-memory killer would. */
  kill(pid: number): Promise<void>;
  /** Where the NBD link has to lead. */
  nbdTarget(pid: number): string;
  remove(): void | Promise<void>;
}

const SR = srUuid('11111111-2222-3333-4444-555555555555');
const OTHER_SR = srUuid('99999999-2222-3333-4444-555555555555');
const VDI = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
const OTHER_VDI = vdiUuid('bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee');
const soon = (): Deadline => Deadline.after(20_000);

/** What every data path has to do, whatever is behind it. */
export function dataPathContract(name: string, make: () => ContractHost): void {
  describe(name, () => {
    let it: ContractHost;
    beforeEach(() => {
      it = make();
    });
    afterEach(async () => {
      for (const sr of [SR, OTHER_SR]) {
        for (const disk of await it.dataPath.list(sr, soon())) await it.dataPath.deactivate(disk, soon());
      }
      await it.remove();
    });

    test('an active disk has every link of the version, and a status', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      const status = await it.dataPath.status({ sr: SR, vdi: VDI }, soon());
      expect(status).toMatchObject({ sr: SR, vdi: VDI, paused: false });
      const links = linksOf(it.host, { sr: SR, vdi: VDI });
      expect(readlinkSync(links.phy)).toBe(disk(VDI).target);
      if (links.backend !== undefined) expect(lstatSync(links.backend).isBlockDevice()).toBe(true);
      if (links.nbd !== undefined) expect(readlinkSync(links.nbd)).toBe(it.nbdTarget(status?.pid ?? 0));
      expect(status?.device).toBe(links.backend);
    });

    test('activating twice changes nothing', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      const before = await it.dataPath.status({ sr: SR, vdi: VDI }, soon());
      await it.dataPath.activate(disk(VDI), soon());
      expect(await it.dataPath.status({ sr: SR, vdi: VDI }, soon())).toEqual(before);
      expect(await it.dataPath.list(SR, soon())).toHaveLength(1);
    });

    test('deactivating leaves no link and no server, and does so twice', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      await it.dataPath.deactivate({ sr: SR, vdi: VDI }, soon());
      await it.dataPath.deactivate({ sr: SR, vdi: VDI }, soon());
      expect(await it.dataPath.status({ sr: SR, vdi: VDI }, soon())).toBeUndefined();
      expect(present(it.host)).toEqual([]);
    });

    test('two disks do not disturb each other', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      await it.dataPath.activate(disk(OTHER_VDI), soon());
      const listed = await it.dataPath.list(SR, soon());
      expect(listed.map(({ vdi }) => vdi).sort()).toEqual([VDI, OTHER_VDI]);
      expect(new Set(listed.map(({ pid }) => pid)).size).toBe(2);
      expect(await it.dataPath.list(OTHER_SR, soon())).toEqual([]);
      await it.dataPath.deactivate({ sr: SR, vdi: VDI }, soon());
      expect((await it.dataPath.list(SR, soon())).map(({ vdi }) => vdi)).toEqual([OTHER_VDI]);
    });

    test('a missing link of an active disk is made again', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      for (const path of present(it.host)) rmSync(path);
      await it.dataPath.activate(disk(VDI), soon());
      expect(present(it.host)).toEqual(allNames(it.host));
    });

    test('a link that leads elsewhere is refused and named, with both ends', async () => {
      const { phy } = linksOf(it.host, { sr: SR, vdi: VDI });
      const elsewhere = `${it.host.paths.root}/elsewhere`;
      writeFileSync(elsewhere, '');
      mkdirSync(dirname(phy), { recursive: true });
      symlinkSync(elsewhere, phy);
      const refused = it.dataPath.activate(disk(VDI), soon());
      await expect(refused).rejects.toMatchObject({
        code: 'vdi-unavailable',
        detail: { facts: { path: phy, expected: `a link to ${disk(VDI).target}`, found: `a link to ${elsewhere}` } },
      });
      expect(await it.dataPath.status({ sr: SR, vdi: VDI }, soon())).toBeUndefined();
    });

    test('a disk whose logical volume is gone fails and leaves nothing', async () => {
      const gone = { ...disk(VDI), target: `${it.host.paths.root}/no/such/volume` };
      await expect(it.dataPath.activate(gone, soon())).rejects.toThrow();
      expect(present(it.host)).toEqual([]);
      expect(await it.dataPath.list(SR, soon())).toEqual([]);
    });

    test('after its server was killed the disk is inactive, and can be activated and deactivated', async () => {
      await it.dataPath.activate(disk(VDI), soon());
      const first = await it.dataPath.status({ sr: SR, vdi: VDI }, soon());
      await it.kill(first?.pid ?? 0);
      expect(await it.dataPath.status({ sr: SR, vdi: VDI }, soon())).toBeUndefined();
      await it.dataPath.activate(disk(VDI), soon());
      const second = await it.dataPath.status({ sr: SR, vdi: VDI }, soon());
      expect(second?.pid).not.toBe(first?.pid);
      expect(present(it.host)).toEqual(allNames(it.host));
      await it.kill(second?.pid ?? 0);
      await it.dataPath.deactivate({ sr: SR, vdi: VDI }, soon());
      expect(present(it.host)).toEqual([]);
    });

    function disk(vdi: Disk['vdi']): Disk {
      const target = `${it.host.paths.root}/dev/VG_XenStorage-${SR}/LV-${vdi}`;
      mkdirSync(dirname(target), { recursive: true });
      if (!existsSync(target)) writeFileSync(target, Buffer.alloc(64 * 1024));
      return { sr: SR, vdi, kind: 'aio', target, writable: true, parents: [] };
    }
  });
}

function allNames(host: DataPathHost): string[] {
  const { phy, backend, nbd } = linksOf(host, { sr: SR, vdi: VDI });
  return [phy, backend, nbd].filter((path) => path !== undefined);
}

function present(host: DataPathHost): string[] {
  return allNames(host).filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}
