import { expect, test } from 'vitest';
import { DRIVER } from '../../../lab/xen-host/install.ts';
import { hiddenNode } from '../../../lab/xen-host/start-script.ts';
import type { Lab } from './scenario.ts';

/** What every other scenario stands on. */
export function hostBasics(lab: Lab): void {
  test('each host is dom0 of a Xen of its own and sees no ceph tools and no Node', async () => {
    const pool = lab();
    for (const dom0 of pool.dom0s) {
      expect((await dom0.check(['cat', '/proc/xen/capabilities'])).trim()).toBe('control_d');
      expect((await dom0.check(['hostname'])).trim()).toBe(dom0.name);
      const { stdout } = await dom0.exec([
        '/bin/sh',
        '-c',
        'for p in ceph rbd rados node npm npx; do command -v $p; done',
      ]);
      expect(stdout).toBe('');
    }
  });

  test('commands run beside each other, with stdin, environment, exit code and time limit', async () => {
    const pool = lab();
    const dom0 = pool.host(0);
    const [slow, quick] = [
      dom0.exec(['sh', '-c', 'while [ ! -e /run/go ]; do sleep 0.2; done; rm /run/go']),
      dom0.exec(['touch', '/run/go']),
    ];
    expect((await quick).code).toBe(0);
    expect((await slow).code).toBe(0);
    expect(await dom0.exec(['sh', '-c', 'cat; echo "$X" >&2; exit 3'], { stdin: 'in', env: { X: 'y' } })).toEqual({
      code: 3,
      stdout: 'in',
      stderr: 'y\n',
    });
    expect((await dom0.exec(['sleep', '1000'], { timeoutMs: 500 })).code).toBe(137);
    expect((await dom0.exec(['no-such-program'])).code).toBe(127);
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) & 255));
    await dom0.writeFile('/tmp/deep/file', bytes);
    expect((await dom0.readFile('/tmp/deep/file')).equals(bytes)).toBe(true);
  });

  test('xapi answers a program of dom0 at its socket', async () => {
    const pool = lab();
    const call =
      '<methodCall><methodName>session.logout</methodName><params><param><value>x</value></param></params></methodCall>';
    const http = `POST / HTTP/1.0\r\nContent-Length: ${call.length}\r\n\r\n${call}`;
    for (const dom0 of pool.dom0s) {
      const before = pool.double.calls.length;
      const script = `
      const socket = require('node:net').connect('/var/lib/xcp/xapi', () => socket.write(process.argv[1]));
      socket.pipe(process.stdout);`;
      const answer = await dom0.check(['/opt/rbdsr/runtime/bin/node', '-e', script, http]);
      expect(answer).toContain('200 OK');
      expect(pool.double.calls.slice(before).map(({ method }) => method)).toEqual(['session.logout']);
    }
  });

  test('the product is installed and answers', async () => {
    const pool = lab();
    for (const dom0 of pool.dom0s) expect(await dom0.check([DRIVER, 'version'])).toMatch(/^Version : \d+\.\d+\.\d+\n$/);
    const [driver] = pool.double.db.where('SM', 'type', 'rbd');
    expect(driver?.fields['driver_filename']).toBe(DRIVER);
  });

  test('every part of the installation is well, and the file that ships installs itself again', async () => {
    const pool = lab();
    for (const dom0 of pool.dom0s) await dom0.check(['rbdsr', 'check']);
    const said = await pool.host(1).check(['sh', hiddenNode(pool.selfExtractor)], { timeoutMs: 600_000 });
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

  test('the kernel of dom0 maps an image; a guest of one host writes what a guest of the other reads', async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/by-hand', { sizeMiB: 64 });
    const key = await pool.cluster.userKey('admin');
    const line = `${pool.cluster.monitors.join(',')} name=admin,secret=${key} rbd by-hand`;
    const scripts = ['echo "from the first host" | dd of=/dev/xvda conv=fsync 2>/dev/null', 'head -n 1 /dev/xvda'];
    const outcomes: { code: number; output: string }[] = [];
    for (const [index, script] of scripts.entries()) {
      const dom0 = pool.host(index);
      await dom0.shell('cat >/sys/bus/rbd/add_single_major; udevadm settle', { stdin: line });
      expect((await dom0.check(['blockdev', '--getsize64', '/dev/rbd0'])).trim()).toBe(String(64 << 20));
      const guest = await dom0.startGuest({ device: '/dev/rbd0', writable: index === 0, script });
      outcomes.push(await guest.finished());
      await guest.destroy();
      await dom0.shell('echo 0 >/sys/bus/rbd/remove_single_major');
    }
    await pool.cluster.removeImage('rbd/by-hand');
    expect(outcomes).toEqual([
      { code: 0, output: '' },
      { code: 0, output: 'from the first host' },
    ]);
  });
}
