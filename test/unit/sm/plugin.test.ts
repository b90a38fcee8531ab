import { describe, expect, test } from 'vitest';
import { PROFILE_IDS } from '../../../src/dom0/host-profile.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { HOSTS, usePlugin } from './plugin-process.ts';
import { requestText, SR, VDI } from './request-text.ts';

/** The request of xapi's start-up: no session, an empty device_config. */
const DRIVER_INFO =
  '<methodCall><methodName>sr_get_driver_info</methodName><params><param><value><struct>' +
  '<member><name>host_ref</name><value>OpaqueRef:H</value></member>' +
  '<member><name>command</name><value>sr_get_driver_info</value></member>' +
  '<member><name>args</name><value><array><data/></array></value></member>' +
  '<member><name>device_config</name><value><struct/></value></member>' +
  '</struct></value></param></params></methodCall>';

const CAPABILITIES = [
  'SR_PROBE',
  'SR_UPDATE',
  'SR_METADATA',
  'VDI_CREATE',
  'VDI_DELETE',
  'VDI_ATTACH',
  'VDI_DETACH',
  'VDI_GENERATE_CONFIG',
  'VDI_CLONE',
  'VDI_SNAPSHOT',
  'VDI_RESIZE',
  'ATOMIC_PAUSE',
  'VDI_UPDATE',
  'VDI_ACTIVATE',
  'VDI_DEACTIVATE',
];

const UNIT =
  "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><nil/></value></param>\n</params>\n</methodResponse>\n\n";

const plugin = usePlugin();

function fault(stdout: string): { readonly faultCode: number; readonly faultString: string } {
  const answer = decodeResponse(stdout);
  if (!('fault' in answer)) throw new Error(`not a fault: ${stdout}`);
  return answer.fault;
}

describe.each(PROFILE_IDS.map((id) => ({ id, version: HOSTS[id].version })))(
  'host version $id ($version)',
  ({ id }) => {
    test('announces what works', async () => {
      const { code, stdout, stderr } = await plugin.run(plugin.host(id), [DRIVER_INFO]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const answer = decodeResponse(stdout);
      expect('value' in answer && answer.value).toMatchObject({
        name: expect.any(String),
        description: expect.any(String),
        vendor: expect.any(String),
        copyright: expect.any(String),
        driver_version: '1.0',
        required_api_version: '1.0',
        capabilities: id === '6.5' ? CAPABILITIES.filter((name) => !/CLONE|SNAPSHOT/.test(name)) : CAPABILITIES,
      });
      const names = [...stdout.matchAll(/^<name>(.*)<\/name>$/gm)].map(([, name]) => name).slice(0, 8);
      expect(names).toEqual([
        'name',
        'description',
        'vendor',
        'copyright',
        'driver_version',
        'required_api_version',
        'capabilities',
        'configuration',
      ]);
      expect(stdout).toContain('<name>key</name>\n<value><string>monitors</string></value>');
    });

    test('answers nil and nothing else to vdi_epoch_end', async () => {
      const { code, stdout, stderr } = await plugin.run(plugin.host(id), [requestText('vdi_epoch_end')]);
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: UNIT, stderr: '' });
    });

    test('answers 38 with a sentence to what does not work', async () => {
      const { code, stdout, stderr } = await plugin.run(plugin.host(id), [requestText('vdi_compose')]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toBe(
        "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>38</int></value>\n" +
          '</member>\n<member>\n<name>faultString</name>\n<value><string>The storage driver does not support this operation ' +
          '[opterr=vdi_compose is not supported. This version of RBDSR does not give a disk another parent.]' +
          '</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n\n',
      );
    });
  },
);

describe('requests that cannot be carried out', () => {
  const cases: readonly {
    readonly what: string;
    readonly argv: readonly string[];
    readonly number: number;
    readonly says: RegExp;
  }[] = [
    { what: 'no argument', argv: [], number: 143, says: /exactly one argument.*found 0/ },
    { what: 'two arguments', argv: [DRIVER_INFO, 'x'], number: 143, says: /exactly one argument.*found 2/ },
    { what: 'an empty argument', argv: [''], number: 143, says: /opterr=/ },
    { what: 'text that is no XML', argv: ['sr_attach'], number: 143, says: /line 1/ },
    { what: 'XML cut short', argv: [DRIVER_INFO.slice(0, 200)], number: 143, says: /opterr=/ },
    { what: 'an unknown command', argv: [requestText('sr_frobnicate')], number: 143, says: /"sr_frobnicate"/ },
    {
      what: 'the name of an inherited property',
      argv: [requestText('constructor')],
      number: 143,
      says: /"constructor"/,
    },
    {
      what: 'no session',
      argv: [requestText('sr_attach', {}, ['session_ref'])],
      number: 143,
      says: /session_ref is missing/,
    },
    { what: 'no SR', argv: [requestText('sr_scan', {}, ['sr_uuid'])], number: 143, says: /sr_uuid is missing/ },
    {
      what: 'no VDI',
      argv: [requestText('vdi_attach', { args: ['true'] }, ['vdi_uuid'])],
      number: 143,
      says: /vdi_uuid is missing/,
    },
    {
      what: 'no argument of the command',
      argv: [requestText('vdi_resize')],
      number: 143,
      says: /args\[0\], size, is missing/,
    },
    {
      what: 'a path for a uuid',
      argv: [requestText('sr_attach', { sr_uuid: '../../etc' })],
      number: 143,
      says: /malformed SR uuid/,
    },
    {
      what: 'a number for a string',
      argv: [requestText('sr_attach', { sr_uuid: 5 })],
      number: 143,
      says: /sr_uuid has the wrong shape/,
    },
    {
      what: 'a command for the pool master elsewhere',
      argv: [requestText('sr_scan', { device_config: { SRmaster: 'false' } })],
      number: 58,
      says: /not the pool master/,
    },
    {
      what: 'a document with a character that XML cannot carry',
      argv: [requestText('vdi_create', { args: ['1', 'a*b', ''] }).replace('a*b', 'a\uFFFEb')],
      number: 143,
      says: /disallowed character/,
    },
    {
      what: 'on-boot=reset',
      argv: [requestText('vdi_epoch_begin', { vdi_on_boot: 'reset' })],
      number: 38,
      says: /on-boot=reset/,
    },
  ];

  test.each(cases)('$what: $number', async ({ argv, number, says }) => {
    const { code, stdout, stderr } = await plugin.run(plugin.host('8.3b'), argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { faultCode, faultString } = fault(stdout);
    expect(faultCode).toBe(number);
    expect(faultString).toMatch(says);
  });
});

describe('the host around it', () => {
  test('a setting chooses another profile', async () => {
    const host = plugin.host('8.2', 'profile = nine\n');
    const { faultCode, faultString } = fault((await plugin.run(host, [requestText('sr_probe')])).stdout);
    expect(faultCode).toBe(91);
    expect(faultString).toMatch(/expected one of 6\.5, 7\.0.*found "nine"/);
    // xapi forgets a driver that does not say what it is: there the one that was detected serves.
    expect(decodeResponse((await plugin.run(host, [DRIVER_INFO])).stdout)).not.toHaveProperty('fault');
    expect(plugin.log(host)).toMatch(/WARNING: ignored: .*found "nine"/);
  });

  test('no inventory: a fault that says where dom0 was looked for', async () => {
    const { faultCode, faultString } = fault((await plugin.run('/nowhere', [DRIVER_INFO])).stdout);
    expect(faultCode).toBe(90);
    expect(faultString).toContain('/nowhere/etc/xensource-inventory does not exist');
  });

  test('a host version it does not know', async () => {
    const host = plugin.host('6.5', 'deadline = 5 # seconds\n');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${host}/etc/xensource-inventory`, "PRODUCT_VERSION='5.6'\nINSTALLATION_UUID='x'\n");
    const { faultCode, faultString } = fault((await plugin.run(host, [DRIVER_INFO])).stdout);
    expect(faultCode).toBe(448);
    expect(faultString).toContain('found PRODUCT_VERSION 5.6');
  });
});

describe('the log', () => {
  test('has one line per command, and no secret', async () => {
    const host = plugin.host('8.3b');
    const device_config = { SRmaster: 'true', monitors: '10.0.0.1', password: 'AQBhunter2==', pool: 'p' };
    await plugin.run(host, [requestText('vdi_compose', { device_config })]);
    const lines = plugin.log(host).trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`vdi_compose sr=${SR} vdi=${VDI} master device_config=[monitors password pool]`);
    expect(lines[0]).toMatch(/failed in \d+\.\d+ s with 38: unimplemented: /);
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).not.toContain('OpaqueRef');
  });
});
