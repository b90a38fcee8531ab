import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { onMachine } from '../../../lab/hosts/start-script.ts';
import { dmsetupTranscript } from '../../support/stand-ins/recorded-dmsetup.ts';
import { recordDmsetup } from '../dmsetup-story.ts';
import type { Lab } from '../scenario.ts';
import { diskUser, programsThatNoHostHas } from './storage.ts';

/** What every other scenario stands on. */
export function hostBasics(lab: Lab): void {
  test('each host has a kernel and an address of its own, shares its disk with nobody and sees no ceph tools and no Node', async () => {
    const pool = lab();
    const boots = new Set<string>();
    for (const host of pool.hosts) {
      expect((await host.check(['hostname'])).trim()).toBe(host.name);
      expect(await host.shell('cat /etc/xensource-inventory')).toContain(`INSTALLATION_UUID='${host.uuid}'`);
      boots.add(await host.shell('cat /proc/sys/kernel/random/boot_id'));
      expect(await host.shell('ls /etc/only-here 2>/dev/null || true; touch /etc/only-here')).toBe('');
      expect(await programsThatNoHostHas(host)).toBe('');
    }
    expect(boots.size).toBe(pool.hosts.length);
    for (const host of pool.hosts) await host.shell('rm /etc/only-here');
    expect(new Set(pool.hosts.map(({ address }) => address)).size).toBe(pool.hosts.length);
  });

  test('dmsetup answers as it was recorded to, and as stand-ins of it do', async () => {
    const calls = await recordDmsetup(lab().host(0));
    const record = process.env['RBDSR_RECORD'];
    if (record !== undefined) writeFileSync(record, calls.map((call) => JSON.stringify(call)).join('\n'));
    expect(calls).toEqual(dmsetupTranscript().calls);
  });

  test("a host sees this machine's files and cannot change them, whatever it mounts", async () => {
    const host = lab().host(0);
    const here = lab().run.folder('untouched');
    writeFileSync(join(here, 'file'), 'as it was');
    expect(await host.shell(`cat ${onMachine(here)}/file`)).toBe('as it was');
    // Through its own root, through the share it came up with, and through one it mounts itself, writable.
    await host.shell(
      // Below a folder of the host's own, such as /tmp, it does not see the machine's.
      `mkdir -p ${here}; echo changed >${here}/file; echo changed >/usr/bin/from-a-host; mkdir -p /run/all; mount -t hostfs none /run/all -o /`,
    );
    for (const root of ['/mnt/host', '/run/all']) {
      for (const path of [`${here}/file`, `${here}/new`, '/dev/shm/from-a-host', '/proc/sys/kernel/domainname'])
        expect(await host.shell(`echo changed 2>/dev/null >${root}${path} || echo refused`)).toBe('refused\n');
      expect(await host.shell(`rm -f ${root}${here}/file 2>/dev/null || echo refused`)).toBe('refused\n');
    }
    await host.shell(`umount /run/all; rm -f /usr/bin/from-a-host ${here}/file`);
    expect(readFileSync(join(here, 'file'), 'utf8')).toBe('as it was');
    for (const path of [join(here, 'new'), '/dev/shm/from-a-host', '/usr/bin/from-a-host'])
      expect(existsSync(path)).toBe(false);
  });

  test('commands run beside each other, with stdin, environment, exit code and time limit', async () => {
    const pool = lab();
    const host = pool.host(0);
    const [slow, quick] = [
      host.exec(['sh', '-c', 'while [ ! -e /run/go ]; do sleep 0.2; done; rm /run/go']),
      host.exec(['touch', '/run/go']),
    ];
    expect((await quick).code).toBe(0);
    expect((await slow).code).toBe(0);
    expect(await host.exec(['sh', '-c', 'cat; echo "$X" >&2; exit 3'], { stdin: 'in', env: { X: 'y' } })).toEqual({
      code: 3,
      stdout: 'in',
      stderr: 'y\n',
    });
    expect((await host.exec(['sleep', '1000'], { timeoutMs: 500 })).code).toBe(137);
    expect((await host.exec(['no-such-program'])).code).toBe(127);
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) & 255));
    await host.writeFile('/tmp/deep/file', bytes);
    expect((await host.readFile('/tmp/deep/file')).equals(bytes)).toBe(true);
  });

  test('xapi answers a program of a host at its socket', async () => {
    const pool = lab();
    const call =
      '<methodCall><methodName>session.logout</methodName><params><param><value>x</value></param></params></methodCall>';
    const http = `POST / HTTP/1.0\r\nContent-Length: ${call.length}\r\n\r\n${call}`;
    for (const host of pool.hosts) {
      const before = pool.double.calls.length;
      const script = `
      const socket = require('node:net').connect('/var/lib/xcp/xapi', () => socket.write(process.argv[1]));
      socket.pipe(process.stdout);`;
      const answer = await host.check(['/opt/rbdsr/runtime/bin/node', '-e', script, http]);
      expect(answer).toContain('200 OK');
      expect(pool.double.calls.slice(before).map(({ method }) => method)).toEqual(['session.logout']);
    }
  });

  test('the product is installed and answers', async () => {
    const pool = lab();
    for (const host of pool.hosts) expect(await host.check([DRIVER, 'version'])).toMatch(/^Version : \d+\.\d+\.\d+\n$/);
    const [driver] = pool.double.db.where('SM', 'type', 'rbd');
    expect(driver?.fields['driver_filename']).toBe(DRIVER);
  });

  test('every part of the installation is well, and the file that ships installs itself again', async () => {
    const pool = lab();
    for (const host of pool.hosts) await host.check(['rbdsr', 'check']);
    const said = await pool.host(1).check(['sh', onMachine(pool.selfExtractor)], { timeoutMs: 600_000 });
    expect(said).toContain('is installed in /opt/rbdsr');
    await pool.host(1).check(['rbdsr', 'check']);
  });

  test('disabled on one host: the stock entry is back there, and the other host names it; enabled again, all is well', async () => {
    const pool = lab();
    const entry = 'readlink /opt/xensource/sm/LVMoISCSISR';
    const check = (): Promise<{ code: number; stdout: string }> => pool.host(0).exec(['rbdsr', 'check', '--pool']);
    expect(await pool.host(1).shell(entry)).toBe('rbdsr-divert.py\n');
    await pool.host(1).check(['rbdsr', 'disable']);
    expect(await pool.host(1).shell(entry)).toBe('LVMoISCSISR.py\n');
    expect(await pool.host(1).shell('ls /opt/xensource/sm | grep RBDSR || true')).toBe('');
    expect(await check()).toMatchObject({ code: 1, stdout: expect.stringMatching(/host2\s+NONE/) });
    await pool.host(1).check(['/opt/rbdsr/launcher.sh', 'enable']);
    expect(await check()).toMatchObject({ code: 0 });
  });

  test('the kernel of a host maps an image, under an address of its own; what is written on one host is read on the other', async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/by-hand', { sizeMiB: 64 });
    const key = await pool.cluster.userKey('admin');
    const line = `${pool.cluster.monitors.join(',')} name=admin,secret=${key} rbd by-hand`;
    const outcomes: string[] = [];
    for (const [index, host] of pool.hosts.slice(0, 2).entries()) {
      await host.shell('cat >/sys/bus/rbd/add_single_major; udevadm settle', { stdin: line });
      expect((await host.check(['blockdev', '--getsize64', '/dev/rbd0'])).trim()).toBe(String(64 << 20));
      const status = await pool.cluster.tool('rbd', 'status', '--format', 'json', 'rbd/by-hand');
      const { watchers } = JSON.parse(status) as { watchers: { address: string }[] };
      expect(watchers.map(({ address }) => address.replace(/:.*/, ''))).toEqual([host.links?.cluster.there]);
      const user = await diskUser(pool, index);
      if (index === 0) await user.put('/dev/rbd0', Buffer.from('from the first host\n'.padEnd(512, '\0')));
      else outcomes.push((await user.get('/dev/rbd0', 512)).split('\n')[0] ?? '');
      await host.shell('echo 0 >/sys/bus/rbd/remove_single_major');
    }
    await pool.cluster.removeImage('rbd/by-hand');
    expect(outcomes).toEqual(['from the first host']);
  });
}
