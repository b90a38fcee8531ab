import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { detectProfile, hostProfile, PROFILE_IDS } from '../../../src/dom0/host-profile.ts';
import { parseHostSettings } from '../../../src/dom0/host-settings.ts';
import { parseInventory } from '../../../src/dom0/inventory.ts';
import { findCommand } from '../../../src/sm/commands.ts';

const NONE = parseHostSettings('', 'none');

function detected(version: string, ...files: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'rbdsr-sm-profile-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const file of files) {
    mkdirSync(dirname(root + file), { recursive: true });
    writeFileSync(root + file, '');
  }
  const inventory = parseInventory(`PRODUCT_VERSION='${version}'\nINSTALLATION_UUID="u"\n`, 'inventory');
  return detectProfile(NONE, inventory, root).id;
}

test('whoever releases a disk has more time than its tapdisk has for the clients of NBD to leave', () => {
  const waits = PROFILE_IDS.map((id) => hostProfile(id, NONE).datapath.closeTimeoutSeconds ?? 0);
  for (const name of ['vdi_deactivate', 'vdi_detach_from_config']) {
    const seconds = findCommand(name)?.deadlineSeconds ?? 0;
    expect(seconds, name).toBeGreaterThan(Math.max(...waits) + 20);
  }
});

describe('which version this host is', () => {
  test.each([
    ['6.5.0', '6.5'],
    ['7.0.0', '7.0'],
    ['7.1.2', '7.0'],
    ['7.2.0', '7.0'],
    ['7.3.0', '7.3'],
    ['7.6.0', '7.3'],
    ['8.0.0', '7.3'],
    ['8.1.0', '7.3'],
    ['8.2.1', '8.2'],
    ['8.3.0', '8.3a'],
    ['9.0.0', 'master'],
  ])('%s: %s', (version, id) => {
    expect(detected(version)).toBe(id);
  });

  test('8.3 after the LVM modules were renamed, and after they moved', () => {
    expect(detected('8.3.0', '/opt/xensource/sm/LVMSR.py')).toBe('8.3b');
    expect(detected('8.4.0', '/usr/libexec/sm/drivers/LVMSR')).toBe('master');
  });

  test.each(['6.2.0', '5.6', 'x'])('%s is too old', (version) => {
    expect(() => detected(version)).toThrow(expect.objectContaining({ code: 'kernel-unsupported' }));
  });

  test('settings decide over both', () => {
    const settings = parseHostSettings('profile = 7.0\ndatapath=nbd\n', 'conf');
    const { id, datapath } = detectProfile(settings, { hostUuid: 'u', productVersion: [8, 3, 0] });
    expect({ id, kind: datapath.kind }).toEqual({ id: '7.0', kind: 'nbd' });
  });
});

test('what differs between versions', () => {
  const rows = PROFILE_IDS.map((id) => {
    const { attachResult, dbIntroduceArity, lvm, unforeseenErrorNumber, paths, maxVirtualSizeBytes } = hostProfile(
      id,
      NONE,
    );
    const { params, paramsNbd, oDirect } = attachResult;
    return [
      id,
      params,
      paramsNbd,
      oDirect,
      dbIntroduceArity,
      lvm.serialisation,
      unforeseenErrorNumber,
      paths.xapiSocket,
      maxVirtualSizeBytes / 2 ** 20,
    ];
  });
  expect(rows).toEqual([
    ['6.5', true, 'absent', false, 18, 'none', 202, '/var/xapi/xapi', 2_093_051],
    ['7.0', true, 'absent', true, 18, 'none', 1200, '/var/lib/xcp/xapi', 2_093_050],
    ['7.3', true, 'absent', true, 19, 'none', 1200, '/var/lib/xcp/xapi', 2_088_960],
    ['8.2', true, 'plain', true, 19, 'file-lock', 1200, '/var/lib/xcp/xapi', 2_088_960],
    ['8.3a', true, 'exportname', true, 19, 'fairlock', 1200, '/var/lib/xcp/xapi', 2_088_960],
    ['8.3b', true, 'exportname', true, 19, 'fairlock', 1200, '/var/lib/xcp/xapi', 2_088_960],
    ['master', false, 'exportname', true, 19, 'fairlock', 1200, '/var/lib/xcp/xapi', 2_088_960],
  ]);
});

test('every path of a host is below its root', () => {
  const { root, ...paths } = hostProfile('8.3b', NONE, '/r').paths;
  expect(Object.values(paths).filter((path) => !path.startsWith(`${root}/`))).toEqual([]);
});

describe('settings', () => {
  test('all of them', () => {
    const text = '# deadlines\ndeadline = 90\ndeadline.sr_scan=300 # long\nssh_port = 2222\n\n';
    const { commandDeadlineSeconds, ...rest } = parseHostSettings(text, 'f');
    expect(rest).toEqual({ deadlineSeconds: 90, sshPort: 2222 });
    expect({ ...commandDeadlineSeconds }).toEqual({ sr_scan: 300 });
  });

  test.each([
    ['deadline 5', /f line 1 .*"key = value"/],
    ['\ndeadline = 0', /f line 2 .*from 1 to 99999/],
    ['datapath = vhd', /tapdisk or nbd/],
    ['collect = never', /by-itself or by-hand/],
    ['colour = red', /one of profile, datapath.*"colour"/],
  ])('%j is refused', (text, says) => {
    expect(() => parseHostSettings(text, 'f')).toThrow(says);
  });
});

describe('inventory', () => {
  test('quotes of any kind', () => {
    const text = `A=1\nPRODUCT_VERSION="8.2.1"\nINSTALLATION_UUID='x-y'\n`;
    expect(parseInventory(text, 'i')).toEqual({ hostUuid: 'x-y', productVersion: [8, 2, 1] });
  });

  test.each([['A=1'], ["PRODUCT_VERSION='8'"]])('%j lacks something', (text) => {
    expect(() => parseInventory(text, 'i')).toThrow(/^i lacks (INSTALLATION_UUID|PRODUCT_VERSION)$/);
  });
});
