import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { RbdsrError } from '../../../src/base/error.ts';
import { requireLogin, translate } from '../../../src/sr/config/translate.ts';

const UUID = '3f0c1f3e-8a52-4a35-9d5f-2f5f8e2a7b11';

function failure(deviceConfig: Record<string, string>): { code: string; text: string } {
  try {
    requireLogin(translate(deviceConfig));
  } catch (error) {
    const { code, message } = error as RbdsrError;
    return { code, text: message };
  }
  throw new Error('nothing was thrown');
}

describe('the steps of a wizard', () => {
  const first = { target: '10.0.0.1', port: '6789' };

  test.each([
    ['list-pools', {}],
    ['list-pools', { targetIQN: '', SCSIid: 'image' }],
    ['list-images', { targetIQN: 'pool' }],
    ['list-images', { targetIQN: 'pool', SCSIid: '' }],
    ['chosen', { targetIQN: 'pool', SCSIid: 'image' }],
  ])('%s', (step, more) => {
    expect(translate({ ...first, ...more }).step).toBe(step);
  });

  test('pool and image are taken as they are', () => {
    const config = translate({ ...first, targetIQN: 'a/b <c>', SCSIid: 'größe&' });
    expect(config).toMatchObject({ pool: 'a/b <c>', image: 'größe&', allocation: 'thick' });
  });

  test('keys of other drivers and other clients change nothing', () => {
    const other = {
      'preferred-image-formats': 'vhd,qcow2',
      multihomed: 'true',
      LUNid: '0',
      localIQN: 'iqn.x',
      foo: 'bar',
    };
    expect(translate({ ...first, ...other })).toEqual(translate(first));
    expect(translate({ ...first, allocation: 'thin' }).allocation).toBe('thin');
  });
});

describe('the monitors', () => {
  test('are kept as typed, and read', () => {
    const target = 'Mon1.example,10.0.0.2,[fd00::1]:6790';
    const config = translate({ target });
    expect(config.target).toBe(target);
    expect(config.monitors).toEqual([
      { kind: 'name', host: 'mon1.example', port: 6789 },
      { kind: 'ipv4', host: '10.0.0.2', port: 6789 },
      { kind: 'ipv6', host: 'fd00::1', port: 6790 },
    ]);
  });

  test('must be there and be addresses', () => {
    expect(failure({ port: '6789' })).toMatchObject({ code: 'target-missing' });
    const { code, text } = failure({ target: '10.0.0.1/24' });
    expect(code).toBe('config-invalid');
    expect(text).toContain('device-config target');
  });
});

describe('who logs in', () => {
  const target = '10.0.0.1';

  test('an SSH user with a secret, a clear password, or the key of the host', () => {
    const user = { target, chapuser: 'ceph-admin' };
    expect(translate({ ...user, chappassword_secret: UUID }).ssh).toEqual({
      user: 'ceph-admin',
      password: { kind: 'secret', uuid: UUID },
    });
    const clear = translate({ ...user, chappassword: 'hunter2' });
    expect(clear.ssh?.password?.kind === 'key' && clear.ssh.password.key.reveal()).toBe('hunter2');
    expect(inspect(clear, { depth: 9 }) + JSON.stringify(clear)).not.toContain('hunter2');
    expect(translate(user)).toMatchObject({ ssh: { user: 'ceph-admin' } });
    expect(translate(user).ssh).not.toHaveProperty('password');
    expect(translate({ ...user, chappassword: 'a', chappassword_secret: UUID }).ssh?.password?.kind).toBe('secret');
  });

  test('client.NAME is a Ceph user: no SSH', () => {
    const config = translate({ target, chapuser: 'client.xen', chappassword_secret: UUID });
    expect(config.cephx).toEqual({ user: 'xen', key: { kind: 'secret', uuid: UUID } });
    expect(config).not.toHaveProperty('ssh');
    expect(failure({ target, chapuser: 'client.xen' })).toMatchObject({ code: 'config-missing' });
    expect(failure({ target, chapuser: 'client.a,b', chappassword: 'k' }).text).toContain('device-config chapuser');
  });

  test('the fields of mutual CHAP name a Ceph user beside the SSH user', () => {
    const incoming = { incoming_chapuser: 'client.xen', incoming_chappassword_secret: UUID };
    expect(translate({ target, chapuser: 'root', ...incoming })).toMatchObject({
      ssh: { user: 'root' },
      cephx: { user: 'xen', key: { kind: 'secret', uuid: UUID } },
    });
    expect(failure({ target, chapuser: 'client.a', chappassword: 'k', ...incoming }).code).toBe('config-invalid');
  });

  test('nobody: said where a login is needed, and not before', () => {
    expect(translate({ target, targetIQN: 'pool', SCSIid: 'image' })).not.toHaveProperty('ssh');
    const { code, text } = failure({ target });
    expect(code).toBe('config-missing');
    expect(text).toContain('chapuser');
    expect(text).toContain('client.NAME');
    expect(failure({ target, chappassword: 'hunter2' })).toMatchObject({ code: 'config-missing' });
  });

  test('what is no user never becomes an argument, and a password in the wrong field never a message', () => {
    expect(failure({ target, chapuser: '-oProxyCommand=x' }).code).toBe('config-invalid');
    const wrong = failure({ target, chapuser: 'root', chappassword_secret: 'hunter2' });
    expect(wrong.code).toBe('config-invalid');
    expect(wrong.text).not.toContain('hunter2');
    expect(failure({ target, chappassword: 'hunter2' }).text).not.toContain('hunter2');
  });
});
