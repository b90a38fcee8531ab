import { expect, test } from 'vitest';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { attachAnswer } from '../../../src/datapath/attach-answer.ts';
import type { AttachAnswerShape } from '../../../src/datapath/attach-answer.ts';

const sr = srUuid('11111111-2222-3333-4444-555555555555');
const vdi = vdiUuid('01234567-89ab-cdef-0123-456789abcdef');
const paths = { root: '', devSmDir: '/dev/sm', blktapControlDir: '/run/blktap-control', runDir: '/var/run/rbdsr' };

const BACKEND = `/dev/sm/backend/${sr}/${vdi}`;
const NBD = `nbd:unix:/run/blktap-control/nbd/${sr}/${vdi}`;

test.each<[string, AttachAnswerShape, { kernelNodes: boolean; nbdLinks: boolean }, object]>([
  [
    '6.5',
    { params: true, paramsNbd: 'absent', oDirect: false },
    { kernelNodes: true, nbdLinks: false },
    { params: BACKEND },
  ],
  [
    '7.x',
    { params: true, paramsNbd: 'absent', oDirect: true },
    { kernelNodes: true, nbdLinks: false },
    { params: BACKEND, o_direct: true, o_direct_reason: 'SR_NOT_SUPPORTED' },
  ],
  [
    '8.2',
    { params: true, paramsNbd: 'plain', oDirect: true },
    { kernelNodes: true, nbdLinks: true },
    { params: BACKEND, params_nbd: NBD, o_direct: true, o_direct_reason: 'SR_NOT_SUPPORTED' },
  ],
  [
    '8.3',
    { params: true, paramsNbd: 'exportname', oDirect: true },
    { kernelNodes: true, nbdLinks: true },
    { params: BACKEND, params_nbd: `${NBD}:exportname=${vdi}`, o_direct: true, o_direct_reason: 'SR_NOT_SUPPORTED' },
  ],
  [
    'master',
    { params: false, paramsNbd: 'exportname', oDirect: true },
    { kernelNodes: false, nbdLinks: true },
    { params_nbd: `${NBD}:exportname=${vdi}`, o_direct: true, o_direct_reason: 'SR_NOT_SUPPORTED' },
  ],
  [
    'no NBD at all',
    { params: true, paramsNbd: 'exportname', oDirect: true },
    { kernelNodes: true, nbdLinks: false },
    { params: BACKEND, params_nbd: '', o_direct: true, o_direct_reason: 'SR_NOT_SUPPORTED' },
  ],
])('the members of %s', (_version, attachResult, traits, expected) => {
  const host = { attachResult, datapath: { kind: 'tapdisk', ...traits } as const, paths };
  const { xenstore_data: data, ...members } = attachAnswer(host, { sr, vdi }, { noCacheReason: 'SR_NOT_SUPPORTED' });
  expect(members).toEqual(expected);
  expect(data).toHaveProperty('vdi-uuid', vdi);
});

test('the SCSI inquiry pages, byte by byte', () => {
  const data = answer({ kernelNodes: true })['xenstore_data'] as Record<string, string>;
  const page80 = Buffer.from(data['scsi/0x12/0x80'] ?? '', 'base64');
  expect(page80.toString('latin1')).toBe('\0\x80\0\x1201234567-89ab-cd  ');
  expect(page80).toHaveLength(22);
  const page83 = Buffer.from(data['scsi/0x12/0x83'] ?? '', 'base64');
  expect(page83.toString('latin1')).toBe(`\0\x83\0\x31\x02\x01\0\x2dXENSRC  ${vdi} `);
  expect(page83).toHaveLength(53);
});

test('the memory pool is named where blktap has kernel nodes, and there only', () => {
  const pool = { memoryPool: { name: sr, pages: 352 } };
  expect(answer({ kernelNodes: true }, pool)['xenstore_data']).toMatchObject({
    'mem-pool': sr,
    'mem-pool-size': '352',
  });
  expect(answer({ kernelNodes: false }, pool)['xenstore_data']).not.toHaveProperty('mem-pool');
  expect(answer({ kernelNodes: true })['xenstore_data']).not.toHaveProperty('mem-pool');
});

test('the reason for not caching is the caller’s', () => {
  expect(answer({ kernelNodes: true }, { noCacheReason: 'LICENSE_RESTRICTION' })).toMatchObject({
    o_direct_reason: 'LICENSE_RESTRICTION',
  });
});

function answer(traits: { kernelNodes: boolean }, options: object = {}) {
  const attachResult = { params: true, paramsNbd: 'exportname', oDirect: true } as const;
  const host = { attachResult, datapath: { kind: 'tapdisk', nbdLinks: true, ...traits } as const, paths };
  return attachAnswer(host, { sr, vdi }, { noCacheReason: 'SR_NOT_SUPPORTED', ...options });
}
