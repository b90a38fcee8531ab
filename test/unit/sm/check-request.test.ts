import { describe, expect, test } from 'vitest';
import { checkRequest, COMMAND_NAMES, findCommand } from '../../../src/sm/commands.ts';
import { checkXmlText, decodeRequest } from '../../../src/sm/protocol/request.ts';
import { requestText } from './request-text.ts';

/**
 * What xapi and static-vdis can send (xen-api `sm_exec.ml`, `smint.ml`), with what its request carries beyond a
 * session.
 */
const SENT: Readonly<
  Record<string, { readonly args?: readonly string[]; readonly carries: 'nothing' | 'sr' | 'vdi' | 'config' }>
> = {
  sr_get_driver_info: { carries: 'nothing' },
  sr_probe: { carries: 'nothing' },
  sr_create: { carries: 'sr', args: ['0'] },
  sr_delete: { carries: 'sr' },
  sr_attach: { carries: 'sr' },
  sr_detach: { carries: 'sr' },
  sr_scan: { carries: 'sr' },
  sr_update: { carries: 'sr' },
  sr_content_type: { carries: 'sr' },
  vdi_create: { carries: 'sr', args: ['1024', 'name', '', '', 'false', '19700101T00:00:00Z', '', 'false'] },
  vdi_introduce: { carries: 'sr' },
  vdi_update: { carries: 'vdi' },
  vdi_delete: { carries: 'vdi' },
  vdi_attach: { carries: 'vdi', args: ['true'] },
  vdi_activate: { carries: 'vdi', args: ['false'] },
  vdi_deactivate: { carries: 'vdi' },
  vdi_detach: { carries: 'vdi' },
  vdi_snapshot: { carries: 'vdi' },
  vdi_clone: { carries: 'vdi' },
  vdi_resize: { carries: 'vdi', args: ['2048'] },
  vdi_resize_online: { carries: 'vdi', args: ['2048'] },
  vdi_generate_config: { carries: 'vdi' },
  vdi_compose: { carries: 'vdi', args: ['OpaqueRef:P'] },
  vdi_epoch_begin: { carries: 'vdi' },
  vdi_epoch_end: { carries: 'vdi' },
  vdi_enable_cbt: { carries: 'vdi' },
  vdi_disable_cbt: { carries: 'vdi' },
  vdi_data_destroy: { carries: 'vdi' },
  vdi_list_changed_blocks: { carries: 'vdi', args: ['OpaqueRef:T'] },
  vdi_revert: { carries: 'vdi', args: ['OpaqueRef:T'] },
  vdi_attach_from_config: { carries: 'config' },
  vdi_detach_from_config: { carries: 'config' },
};

/** sm SRCommand.py, EXCLUSIVE. */
const EXCLUSIVE = [
  'sr_create',
  'sr_delete',
  'sr_attach',
  'sr_detach',
  'sr_scan',
  'sr_update',
  'vdi_create',
  'vdi_delete',
  'vdi_resize',
  'vdi_snapshot',
  'vdi_clone',
];

const ABSENT = {
  nothing: ['sr_ref', 'sr_uuid', 'vdi_ref', 'vdi_location', 'vdi_uuid'],
  sr: ['vdi_ref', 'vdi_location', 'vdi_uuid'],
  vdi: [],
  config: ['session_ref', 'host_ref', 'sr_ref', 'vdi_ref', 'vdi_location'],
} as const;

test('the table has every command there is, and no other', () => {
  expect([...COMMAND_NAMES].sort()).toEqual(Object.keys(SENT).sort());
});

test.each(Object.entries(SENT))('%s: what xapi sends is enough', (name, { args, carries }) => {
  const command = findCommand(name);
  if (command === undefined) throw new Error('absent');
  const request = decodeRequest([requestText(name, { args: args ?? [] }, ABSENT[carries])]);
  checkRequest(request, command);
  expect(command.exclusive && command.load !== undefined).toBe(EXCLUSIVE.includes(name));
  expect((command.load === undefined) === (command.why !== undefined)).toBe(true);
});

test.each(COMMAND_NAMES.filter((name) => findCommand(name)?.load !== undefined))(
  '%s has code that loads',
  async (name) => {
    expect(await findCommand(name)?.load?.()).toBeTypeOf('function');
  },
);

test.each(['__proto__', 'toString', 'hasOwnProperty', ''])('%j is no command', (name) => {
  expect(findCommand(name)).toBeUndefined();
});

describe('only the pool master writes LVM metadata', () => {
  test.each(['sr_create', 'sr_delete', 'sr_scan', 'vdi_create', 'vdi_delete', 'vdi_resize'])('%s', (name) => {
    const command = findCommand(name);
    if (command === undefined) throw new Error('absent');
    const members = { args: SENT[name]?.args ?? [], device_config: { SRmaster: 'false' } };
    const request = decodeRequest([requestText(name, members)]);
    expect(() => checkRequest(request, command)).toThrow(expect.objectContaining({ code: 'not-master' }));
    const unproven = decodeRequest([requestText(name, { args: SENT[name]?.args ?? [] }, ['sr_ref'])]);
    expect(() => checkRequest(unproven, command)).toThrow(/sr_ref is missing/);
  });
});

describe('text that goes into XML', () => {
  test.each(['', 'disk 0', 'Ünïcödé 😀', 'tab\tline\nend\r', '<&>"'])('takes %j', (text) => {
    checkXmlText('name_label', text);
  });

  test.each([
    ['\u0000', 'U+0000 at position 0'],
    ['ab\u001F', 'U+001F at position 2'],
    ['a\uFFFF', 'U+FFFF at position 1'],
    ['😀\uD800', 'U+D800 at position 1'],
  ])('refuses %j', (text, found) => {
    expect(() => checkXmlText('name_label', text)).toThrow(
      expect.objectContaining({ code: 'illegal-xml-char', message: expect.stringContaining(found) }),
    );
  });
});
