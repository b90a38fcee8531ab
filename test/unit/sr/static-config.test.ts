import { describe, expect, it } from 'vitest';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { Secret } from '../../../src/base/secret.ts';
import { parseKeyring } from '../../../src/ceph/cluster/keyring-file.ts';
import { parseDeviceConfig } from '../../../src/sr/config/device-config.ts';
import { rbdType } from '../../../src/access/rbd-type.ts';
import { decodeRequest } from '../../../src/sm/protocol/request.ts';
import { keyringText, staticConfig } from '../../../src/sr/config/static-config.ts';

const sr = srUuid('5a1c7f00-1111-4222-8333-0123456789ab');
const vdi = vdiUuid('0d15c000-1111-4222-8333-0123456789ab');
const KEY = 'AQBSdFxnAAAAABAAsome+key/of+a+cluster==';

describe('the configuration static-vdis keeps', () => {
  it('is a request this driver reads, without any key', () => {
    const deviceConfig = { monitors: '10.0.0.1,10.0.0.2', pool: 'p', image: 'a&b', user: 'xen', password: KEY };
    const access = { monitors: [], user: 'xen', key: new Secret(KEY) };
    const frozen = rbdType.config(deviceConfig).frozen('/etc/rbdsr/keys/x.keyring', access);
    const text = staticConfig({ sr, vdi, deviceConfig: frozen });
    expect(text).not.toContain(KEY);
    const request = decodeRequest([text]);
    expect(request).toMatchObject({ command: 'vdi_attach_from_config', srUuid: sr, vdiUuid: vdi, srMaster: false });
    expect(parseDeviceConfig(request.deviceConfig)).toMatchObject({
      image: 'a&b',
      key: { kind: 'keyring', path: '/etc/rbdsr/keys/x.keyring' },
    });
  });

  it('the keyring file gives the key back', () => {
    const text = keyringText({ user: 'xen', key: new Secret(KEY) });
    expect(parseKeyring(text).get('client.xen')?.reveal()).toBe(KEY);
  });
});
