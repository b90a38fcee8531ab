import { expect, test } from 'vitest';
import { Handshake } from '../../../src/datapath/nbd/nbd-handshake.ts';

// Expected bytes are written out from NetworkBlockDevice/nbd doc/proto.md.
const FACTS = { name: 'disk', size: 0x1_0000_0200, flags: 0x4d };
const OPTION_MAGIC = '49484156454f5054';
const REPLY_MAGIC = '0003e889045565a9';

test('greets with both magics, fixed newstyle and no-zeroes', () => {
  expect(new Handshake(FACTS).greeting().toString('hex')).toBe(`4e42444d41474943${OPTION_MAGIC}0003`);
});

test('GO answers with size, flags and block sizes, and begins transmission', () => {
  const step = started().accept(option(7, nameRequest('disk')));
  expect(step.next).toBe('transmission');
  // Size and flags; then smallest, preferred and largest request.
  expect(hex(step.send)).toEqual([
    reply(7, '00000003', '00000000000100000200004d'),
    reply(7, '00000003', '0003000000010000100002000000'),
    reply(7, '00000001', ''),
  ]);
});

test('INFO answers the same and goes on talking', () => {
  const shake = started();
  const step = shake.accept(option(6, nameRequest('disk', [0, 3])));
  expect(step.next).toBe('more');
  expect(step.send).toHaveLength(3);
  expect(shake.accept(option(7, nameRequest('disk'))).next).toBe('transmission');
});

test('an unknown name is refused and the talk goes on', () => {
  const step = started().accept(option(7, nameRequest('disk2')));
  expect(step.next).toBe('more');
  expect(hex(step.send)).toEqual([reply(7, '80000006', '')]);
});

test.each([Buffer.alloc(0), Buffer.from('000000ff0000', 'hex'), Buffer.concat([nameRequest('disk'), Buffer.alloc(1)])])(
  'malformed GO data %# is refused as invalid',
  (data) => {
    expect(hex(started().accept(option(7, data)).send)).toEqual([reply(7, '80000003', '')]);
  },
);

test('LIST names the one export', () => {
  expect(hex(started().accept(option(3)).send)).toEqual([
    reply(3, '00000002', '000000046469736b'),
    reply(3, '00000001', ''),
  ]);
  expect(hex(started().accept(option(3, Buffer.from('x'))).send)).toEqual([reply(3, '80000003', '')]);
});

test('options we do not have are unsupported, whatever their data', () => {
  for (const number of [5, 8, 10, 99]) {
    const step = started().accept(option(number, Buffer.from('data')));
    expect(step.next).toBe('more');
    expect(hex(step.send)).toEqual([reply(number, '80000001', '')]);
  }
});

test('ABORT is acknowledged and ends the connection', () => {
  const step = started().accept(option(2));
  expect([step.next, ...hex(step.send)]).toEqual(['close', reply(2, '00000001', '')]);
});

test('EXPORT_NAME answers without a header, with 124 zeroes unless the client declined them', () => {
  const short = started(3).accept(option(1, Buffer.from('disk')));
  expect([short.next, ...hex(short.send)]).toEqual(['transmission', '0000000100000200004d']);
  const long = started(1).accept(option(1, Buffer.from('disk')));
  expect(hex(long.send)).toEqual([`0000000100000200004d${'00'.repeat(124)}`]);
  expect(started().accept(option(1, Buffer.from('other'))).next).toBe('close');
});

test('bytes after the handshake are handed on', () => {
  const step = started().accept(Buffer.concat([option(7, nameRequest('disk')), Buffer.from('request')]));
  expect(step.rest.toString()).toBe('request');
});

test('the handshake may arrive a byte at a time', () => {
  const shake = new Handshake(FACTS);
  const all = Buffer.concat([Buffer.from('00000003', 'hex'), option(3), option(7, nameRequest('disk'))]);
  const sent: Buffer[] = [];
  let next = 'more';
  for (const byte of all) {
    expect(next).toBe('more');
    const step = shake.accept(Buffer.from([byte]));
    sent.push(...step.send);
    next = step.next;
  }
  expect(next).toBe('transmission');
  expect(sent).toHaveLength(5);
});

test('unknown client flags, a wrong magic and an endless option end the connection', () => {
  expect(new Handshake(FACTS).accept(Buffer.from('00000007', 'hex')).next).toBe('close');
  expect(started().accept(Buffer.alloc(16)).next).toBe('close');
  const endless = option(7);
  endless.writeUInt32BE(0xffffffff, 12);
  expect(started().accept(endless).next).toBe('close');
});

function started(clientFlags = 3): Handshake {
  const shake = new Handshake(FACTS);
  expect(shake.accept(Buffer.from([0, 0, 0, clientFlags])).next).toBe('more');
  return shake;
}

function option(number: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.write(OPTION_MAGIC, 'hex');
  head.writeUInt32BE(number, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

function nameRequest(name: string, wanted: readonly number[] = []): Buffer {
  const bytes = Buffer.alloc(6 + name.length + 2 * wanted.length);
  bytes.writeUInt32BE(name.length, 0);
  bytes.write(name, 4);
  bytes.writeUInt16BE(wanted.length, 4 + name.length);
  for (const [index, kind] of wanted.entries()) bytes.writeUInt16BE(kind, 6 + name.length + 2 * index);
  return bytes;
}

function reply(number: number, type: string, data: string): string {
  const word = (value: number): string => value.toString(16).padStart(8, '0');
  return `${REPLY_MAGIC}${word(number)}${type}${word(data.length / 2)}${data}`;
}

function hex(buffers: readonly Buffer[]): string[] {
  return buffers.map((bytes) => bytes.toString('hex'));
}
