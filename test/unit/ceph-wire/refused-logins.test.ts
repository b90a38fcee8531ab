import { expect, test } from 'vitest';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { ByteReader } from '../../../src/ceph/wire/byte-reader.ts';
import { ByteWriter } from '../../../src/ceph/wire/byte-writer.ts';
import { encrypt } from '../../../src/ceph/wire/cephx-cipher.ts';
import { UserLogin } from '../../../src/ceph/wire/cephx-login.ts';
import { failureOf } from '../../support/expect-error.ts';

// What monitors answer to a login that they refuse. A user that is not there they tell from a wrong key before 16 alone
// (ceph `src/mon/AuthMonitor.cc` and `src/auth/cephx/CephxServiceHandler.cc`); that was not run here.

const key = sampleKey('aes');
const login = () => new UserLogin({ user: 'xen', key });
const nothing = new ByteReader(Buffer.alloc(0), 'a refusal');

/** The tickets that go with the refusal, sealed with a key. */
function tickets(secret: Buffer): ByteReader {
  const sessionKey = new ByteWriter().u8(1).u16(1).u64(0).u16(16).raw(Buffer.alloc(16, 7)).u32(60).u32(0).done();
  const blob = new ByteWriter().u8(1).u64(1).blob(Buffer.alloc(8)).done();
  const ticket = new ByteWriter().u32(0x20).u8(1).blob(encrypt(secret, sessionKey)).u8(0).blob(blob).done();
  return new ByteReader(new ByteWriter().u16(0x100).u32(0).u8(1).u32(1).raw(ticket).done(), 'a refusal');
}

const SECRET = Buffer.alloc(16, 0x5a);

test('each answer is a sentence of its own, with what to do', async () => {
  const unknown = login().refusal(-2, nothing);
  const wrong = login().refusal(-13, nothing);
  const missing = login().refusal(-13, tickets(SECRET));
  const otherType = await failureOf(
    'cluster-incompatible',
    () => new UserLogin({ user: 'xen', key: sampleKey('aes256k') }),
  );
  expect(unknown.message).toContain('the cluster has no user client.xen');
  expect(wrong.message).toContain('there is no such user, or its key is another');
  expect(missing.message).toContain('client.xen and its key are right, but it may ask the monitors nothing');
  expect(missing.message).toContain("`ceph auth caps client.xen mon 'profile rbd'");
  expect(otherType.message).toContain('of type aes256k');
  for (const { detail } of [unknown, wrong, missing, otherType]) expect(detail.todo).toContain('`ceph auth ');
});

test('tickets that the key does not open prove nothing about it', () => {
  expect(login().refusal(-13, tickets(Buffer.alloc(16, 1))).message).toContain('its key is another');
});
