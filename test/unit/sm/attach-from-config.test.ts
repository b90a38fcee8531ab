import { expect, test } from 'vitest';
import { usableAtBoot } from '../../../src/sm/handlers/vdi-attach-from-config.ts';

const LINKS = { params: '/dev/sm/backend/sr/vdi', xenstore_data: { 'scsi/0x12/0x80': 'AIA=' } };

test.each([
  ['nbd:unix:/run/blktap-control/nbd/sr/vdi:exportname=vdi', true],
  ['nbd:unix:/run/blktap-control/nbd/sr/vdi', false],
  ['', false],
  [undefined, false],
])('params_nbd of %j is in the answer at boot: %s', (uri, stays) => {
  const answer = usableAtBoot({ ...LINKS, ...(uri === undefined ? {} : { params_nbd: uri }) }, 'vhd');
  expect(answer['params_nbd']).toBe(stays ? uri : undefined);
  expect(answer).toMatchObject({
    params: LINKS.params,
    xenstore_data: { 'scsi/0x12/0x80': 'AIA=', 'storage-type': 'lvm', 'vdi-type': 'vhd' },
  });
});
