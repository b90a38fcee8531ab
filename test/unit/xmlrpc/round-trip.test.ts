import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCall, decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { encodeCall, encodeFault, encodeResponse } from '../../../src/xmlrpc/encode.ts';
import { XmlRpcBinary, XmlRpcDateTime, XmlRpcDouble, type XmlRpcValue } from '../../../src/xmlrpc/value.ts';
import { isXmlText } from '../../../src/xmlrpc/xml-text.ts';

const text = fc.string({ unit: 'binary' }).filter(isXmlText);
const { value } = fc.letrec<{ value: XmlRpcValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    // Adding 0 turns -0 into 0: XML-RPC writes both alike.
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => new XmlRpcDouble(number + 0)),
    fc.constantFrom('19700101T00:00:00Z', '20261124T08:42:56').map((time) => new XmlRpcDateTime(time)),
    fc.uint8Array().map((bytes) => new XmlRpcBinary(Buffer.from(bytes))),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
}));

test('a call comes back as it was written', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), (params) => {
      expect(decodeCall(encodeCall('VDI.db_introduce', params))).toEqual({ method: 'VDI.db_introduce', params });
    }),
    { numRuns: 500 },
  );
});

test('an answer comes back as it was written', () => {
  fc.assert(
    fc.property(value, (answer) => {
      expect(decodeResponse(encodeResponse(answer))).toEqual({ value: answer });
    }),
    { numRuns: 500 },
  );
});

test('a fault comes back as it was written', () => {
  fc.assert(
    fc.property(fc.integer(), text, (faultCode, faultString) => {
      expect(decodeResponse(encodeFault({ faultCode, faultString }))).toEqual({ fault: { faultCode, faultString } });
    }),
  );
});

test('any text at all gives a readable answer, what XML cannot carry replaced', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
      (raw) => {
        const decoded = decodeResponse(encodeResponse(raw));
        expect(decoded).toHaveProperty('value');
        expect(isXmlText(raw) ? decoded : undefined).toEqual(isXmlText(raw) ? { value: raw } : undefined);
      },
    ),
    { numRuns: 500 },
  );
  expect(decodeResponse(encodeResponse('a\u0000b\uD800c\uFFFF'))).toEqual({ value: 'a\uFFFDb\uFFFDc\uFFFD' });
});
