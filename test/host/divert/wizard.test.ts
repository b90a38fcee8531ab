import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { MiB } from '../../../src/base/units.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { place } from '../../support/folder-host.ts';
import { CephOfToday } from '../../support/stand-ins/ceph-of-today.ts';
import { xenCenterLuns, xenCenterTargets } from '../../support/wizard-clients/xencenter.ts';
import { xenOrchestraLuns, xenOrchestraSrs, xenOrchestraTargets } from '../../support/wizard-clients/xen-orchestra.ts';
import { failure } from '../../support/xapi-failure.ts';
import { listOf, WIZARD_CLIENTS, WizardPool } from './wizard-pool.ts';

// The first three steps of the "New iSCSI SR" wizard, as XenCenter and Xen Orchestra take them with a sudoer's login,
// against a real SSH server.

const PASSWORD = 'c0rrect horse';

let pool: WizardPool;
let ssh: SshHost;

beforeAll(async () => {
  pool = await WizardPool.make('wizard');
  ssh = await SshHost.start(pool.run, pool.cluster, {
    users: [
      { name: 'xen', password: PASSWORD, sudo: 'password' },
      { name: 'none', password: PASSWORD, sudo: 'none' },
    ],
  });
});

afterAll(async () => {
  await ssh?.stop();
  await pool?.destroy();
});

function fields(more: Record<string, string> = {}): Record<string, string> {
  return { target: ssh.address, port: '6789', chapuser: 'xen', chappassword: PASSWORD, ...more };
}

describe.each(WIZARD_CLIENTS)('%s', (client) => {
  test('lists the pools for RBD images', async () => {
    const xml = listOf(await failure(pool.clients[client](fields())), 96);
    const iqns = ['other', 'rbd'];
    expect(xenCenterTargets(xml).map(({ iqn, port, address }) => ({ iqn, port, address }))).toEqual(
      iqns.map((iqn) => ({ iqn, port: 6789, address: ssh.address })),
    );
    expect(xenOrchestraTargets(xml, ssh.address).map(({ iqn }) => iqn)).toEqual(iqns);
  });

  test('lists the images of a pool that can be mapped', async () => {
    const xml = listOf(await failure(pool.clients[client](fields({ targetIQN: 'rbd' }))), 107);
    expect(xenCenterLuns(xml).map(({ scsiId, size }) => ({ scsiId, size }))).toEqual([
      { scsiId: 'a', size: 64n << 20n },
      { scsiId: 'b', size: 64n << 20n },
    ]);
    expect(xenOrchestraLuns(xml).map(({ scsiId }) => scsiId)).toEqual(['a', 'b']);
    expect(pool.log()).toContain('"has space" is not listed');
  });

  test.each([
    ['a wrong password', { chappassword: 'wrong' }, 68, /refused the password/],
    ['no chapuser', { chapuser: '', chappassword: '' }, 90, /chapuser/],
    ['no right to use sudo', { chapuser: 'none' }, 202, /sudo/],
    ['a monitor that is not there', { target: '10.66.0.250' }, 141, /10\.66\.0\.250/],
    ['a name that does not resolve', { target: 'no-such-host.invalid' }, 140, /no-such-host\.invalid/],
    ['no target', { target: '' }, 95, /target/],
    ['a pool without images', { targetIQN: 'other' }, 19, /pool other has no image/],
    ['a pool that is not there', { targetIQN: 'absent' }, 19, /absent/],
  ])('%s', async (_what, more, number, says) => {
    const error = await failure(pool.clients[client](fields(more)));
    expect(error.backendNumber, error.message).toBe(number);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain(PASSWORD);
  });

  test('leaves no record, no secret of its PBDs and no password in the log', async () => {
    for (const kind of ['SR', 'PBD', 'VDI'] as const) expect(pool.xapi.db.all(kind)).toEqual([]);
    expect(pool.log()).not.toContain(PASSWORD);
    expect(pool.log()).toContain('SHA256:');
  });
});

test("a discovery by SR.create leaves no secret behind but the client's own", async () => {
  const before = pool.xapi.db.all('secret').length;
  await failure(pool.clients.XenCenter(fields()));
  // The one that xapi made of the password that was sent is the client's to destroy.
  expect(pool.xapi.db.all('secret').length - before).toBeLessThanOrEqual(1);
});

test('a discovery with a cephx user and its key leaves nothing in xapi either', async () => {
  const secretsOf = (): unknown[] => pool.xapi.db.all('secret').map(({ fields }) => fields['value']);
  const key = await pool.cluster.userKey('admin');
  const [monitor = ''] = pool.cluster.monitors;
  const typed = { target: monitor.replace(/:6789$/, ''), port: '6789', chapuser: 'client.admin', chappassword: key };
  const before = secretsOf().filter((value) => value === key).length;
  for (const [more, number] of [
    [{}, 96],
    [{ targetIQN: 'rbd' }, 107],
  ] as const) {
    listOf(await failure(pool.clients.XenCenter({ ...typed, ...more })), number);
  }
  // The client's own, one a call, as xapi made them of the password that was sent.
  expect(secretsOf().filter((value) => value === key).length - before).toBeLessThanOrEqual(2);
  expect(pool.xapi.db.all('secret').filter((secret) => 'rbdsr' in mapOf(secret, 'other_config'))).toEqual([]);
});

test('monitors whose sshd has another port', async () => {
  const users = [{ name: 'far', password: PASSWORD, sudo: 'password' as const }];
  const far = await SshHost.start(pool.run, pool.cluster, { name: 'other-port', port: 2222, users });
  const conf = join(pool.root, 'etc/rbdsr/rbdsr.conf');
  try {
    expect((await failure(pool.clients.XenCenter(fields({ chapuser: 'far' })))).backendNumber).toBe(68);
    place(conf, (path) => writeFileSync(path, 'ssh_port = 2222\n'));
    expect(listOf(await failure(pool.clients.XenCenter(fields({ chapuser: 'far' }))), 96)).toContain('rbd');
  } finally {
    rmSync(conf, { force: true });
    await far.stop();
  }
});

describe('a cluster of today', () => {
  let conf: string;
  let today: SshHost;
  let ceph: CephOfToday;

  beforeAll(async () => {
    conf = join(pool.root, 'etc/rbdsr/rbdsr.conf');
    ceph = new CephOfToday(pool.run.folder('ceph-of-today'));
    const users = [{ name: 'xen', password: PASSWORD, sudo: 'password' as const }];
    today = await SshHost.start(pool.run, pool.cluster, { name: 'today', port: 2424, users, ceph: ceph.program });
    place(conf, (path) => writeFileSync(path, 'ssh_port = 2424\n'));
  });

  afterAll(async () => {
    rmSync(conf, { force: true });
    await today?.stop();
  });

  test.skipIf(kernelTraits().aes256k).each(WIZARD_CLIENTS)(
    'that allows no key of use to this host says so to %s in the first step, and how it would',
    async (client) => {
      ceph.allow('aes256k');
      const error = await failure(pool.clients[client](fields()));
      expect(error.backendNumber, error.message).toBe(448);
      expect(error.message).toContain('ceph mon set auth_allowed_ciphers aes,aes256k');
      expect(error.message).toContain('CVE-2025-30156');
    },
  );

  test('that allows aes is listed, and the log says what it allows', async () => {
    ceph.allow('aes', 'aes256k');
    expect(listOf(await failure(pool.clients.XenCenter(fields())), 96)).toContain('rbd');
    expect(pool.log()).toContain('allows cephx keys of type aes and aes256k');
  });

  test('makes a key of type aes for an SR, which goes with the SR that could not be made', async () => {
    // There is no kernel here to map with: sr_create fails after the user was made.
    ceph.allow('aes', 'aes256k');
    await failure(pool.clients.XenCenter(fields({ targetIQN: 'rbd', SCSIid: 'a' })));
    expect(ceph.calls.filter((call) => call.includes('get-or-create'))).toEqual([
      expect.stringMatching(/^auth get-or-create --key-type aes client[.]rbdsr-/),
    ]);
    expect(ceph.calls.filter((call) => call.startsWith('auth rm client.rbdsr-'))).toHaveLength(1);
    expect(await pool.cluster.tool('ceph', 'auth', 'ls')).not.toContain('client.rbdsr-');
  });

  test.skipIf(kernelTraits().aes256k)('whose user was typed with a key of no use: nobody is asked', async () => {
    const chappassword = sampleKey('aes256k').reveal();
    const error = await failure(pool.clients.XenCenter(fields({ chapuser: 'client.typed', chappassword })));
    expect(error.backendNumber, error.message).toBe(448);
    expect(error.message).toContain('ceph auth rotate --key-type aes client.typed');
    expect(error.message).not.toContain(chappassword.slice(12));
  });
});

describe('the third step', () => {
  const probe = (image: string): Promise<string> =>
    pool.clients['Xen Orchestra'](fields({ targetIQN: 'rbd', SCSIid: image }));

  test('an empty image holds no SR', async () => {
    expect(xenOrchestraSrs(await probe('a'))).toEqual([]);
  });

  test('an image with a volume group of an SR', async () => {
    const uuid = randomUUID();
    await imageWithVolumeGroup('vg', `VG_XenStorage-${uuid}`);
    expect(xenOrchestraSrs(await probe('vg'))).toEqual([uuid]);
  });

  test('an image with a volume group that has been in use: its metadata has moved on in its area', async () => {
    const uuid = randomUUID();
    const file = await imageWithVolumeGroup(
      'used',
      `VG_XenStorage-${uuid}`,
      `x=$(head -c 1000 /dev/zero | tr '\\0' x)
      for n in $(seq 150); do set -- "$@" --addtag $x$n; done
      shift; lvm vgchange -q $common "$@"
      for n in 1 2 3 4 5 6 7 8; do lvm vgchange -q $common --addtag y$n "$1"; done`,
    );
    // lvm2 lib/format_text/layout.h: the header of the area at 4 KiB, and in it where the text of now begins.
    const textOffset = 4096 + Number(readFileSync(file).readBigUInt64LE(4096 + 40));
    expect(textOffset).toBeGreaterThan(MiB);
    const answer = await probe('used');
    expect(xenOrchestraSrs(answer)).toEqual([uuid]);
    expect(answer).toContain(String(64 * MiB));
  });

  test('an image with anything else on it', async () => {
    await imageWithVolumeGroup('foreign', 'data');
    expect(xenOrchestraSrs(await probe('foreign'))).toEqual([]);
  });

  test('an image that is not there', async () => {
    const error = await failure(probe('absent'));
    expect(error.backendNumber).toBe(19);
    expect(error.message).toContain('rbd/absent');
  });

  test('creates no cephx user', async () => {
    expect(await pool.cluster.tool('ceph', 'auth', 'ls')).not.toContain('client.rbdsr-');
  });
});

/** As the product makes one, and then `more` happens to it. Answers the file it was made in. */
async function imageWithVolumeGroup(image: string, vg: string, more = ''): Promise<string> {
  const file = join(pool.folder, `${image}.img`);
  const script = `truncate -s 64M "$1"; loop=$(losetup -f --show "$1")
    trap 'losetup -d $loop' EXIT
    common="--driverloaded n --config devices{scan=[\\"/dev\\"]filter=[\\"a|^$loop$|\\",\\"r|.*|\\"]use_devicesfile=0}"
    lvm vgcreate -q $common --dataalignment 4m --metadatasize 10m "$2" $loop
    ${more}`;
  execFileSync('sh', ['-efc', script, 'sh', file, vg], { stdio: 'pipe' });
  await pool.cluster.tool('rbd', 'import', '--no-progress', '--image-feature', 'layering', file, `rbd/${image}`);
  return file;
}
