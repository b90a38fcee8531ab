import { array, assert, constantFrom, integer, nat, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { RequestParser } from '../../../src/datapath/nbd/nbd-request-parser.ts';
import type { NbdRequest } from '../../../src/datapath/nbd/nbd-request-parser.ts';

const requests = array(
  record({
    type: constantFrom(0, 1, 3, 4, 6),
    flags: nat(0xffff),
    cookie: uint8Array({ minLength: 8, maxLength: 8 }),
    offset: nat(2 ** 52),
    payload: uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 12 },
);

test('the same requests come out however the stream is cut', () => {
  assert(
    property(requests, array(integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(encode));
      const seen: object[] = [];
      const parser = new RequestParser((request) => seen.push(taken(request)));
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const length = cuts[turn % cuts.length] ?? 1;
        expect(parser.push(stream.subarray(at, at + length))).toBe(true);
        at += length;
      }
      expect(seen).toEqual(sent.map(expected));
    }),
  );
});

test('a stream without the magic is given up', () => {
  expect(new RequestParser(() => {}).push(Buffer.alloc(28))).toBe(false);
});

test('a payload longer than the protocol allows is given up before any memory is taken', () => {
  const parser = new RequestParser(
    () => {},
    () => {
      throw new Error('took memory');
    },
  );
  const header = encode({ type: 1, flags: 0, cookie: new Uint8Array(8), offset: 0, payload: new Uint8Array(0) });
  header.writeUInt32BE(32 * 1024 * 1024 + 1, 24);
  expect(parser.push(header)).toBe(false);
});

test('an offset past what a number holds is no small offset', () => {
  let offset = 0;
  const parser = new RequestParser((request) => {
    offset = request.offset;
  });
  const header = encode({ type: 0, flags: 0, cookie: new Uint8Array(8), offset: 0, payload: new Uint8Array(0) });
  header.writeBigUInt64BE(2n ** 53n + 1n, 16);
  parser.push(header);
  expect(offset).toBe(Infinity);
});

interface Sent {
  readonly type: number;
  readonly flags: number;
  readonly cookie: Uint8Array;
  readonly offset: number;
  readonly payload: Uint8Array;
}

function encode({ type, flags, cookie, offset, payload }: Sent): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(type, 6);
  header.set(cookie, 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(payload.length, 24);
  return type === 1 ? Buffer.concat([header, payload]) : header;
}

function expected({ type, flags, cookie, offset, payload }: Sent): object {
  const bytes = Buffer.from(cookie);
  const high = bytes.readUInt32BE(0);
  const low = bytes.readUInt32BE(4);
  return {
    type,
    flags,
    high,
    low,
    offset,
    length: payload.length,
    payload: type === 1 ? Buffer.from(payload).toString('hex') : '',
  };
}

function taken({ type, flags, cookieHigh: high, cookieLow: low, offset, length, payload }: NbdRequest): object {
  return { type, flags, high, low, offset, length, payload: payload === undefined ? '' : payload.toString('hex') };
}
