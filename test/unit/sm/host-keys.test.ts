import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import {
  activeHosts,
  conflictingHosts,
  heldBackBy,
  isAbandoned,
  keepClaim,
  tryClaim,
} from '../../../src/sr/hosts/host-keys.ts';
import type { SrWork } from '../../../src/sr/work/work.ts';
import { failureOf } from '../../support/expect-error.ts';
import { openXapiSession } from '../../support/xapi-session.ts';

describe('claims of hosts on a VDI', () => {
  const claims = { vdi_type: 'vhd', 'host_OpaqueRef:a': 'RO', 'host_OpaqueRef:b': 'RW' };

  it('one writer excludes everybody else, readers only a writer', () => {
    expect(activeHosts(claims)).toEqual(['OpaqueRef:a', 'OpaqueRef:b']);
    expect(conflictingHosts(claims, 'OpaqueRef:c', false)).toEqual(['OpaqueRef:b']);
    expect(conflictingHosts(claims, 'OpaqueRef:c', true)).toEqual(['OpaqueRef:a', 'OpaqueRef:b']);
    expect(conflictingHosts({ 'host_OpaqueRef:a': 'RO' }, 'OpaqueRef:c', false)).toEqual([]);
    expect(conflictingHosts(claims, 'OpaqueRef:b', false)).toEqual([]);
  });

  it('only versions that know relinking heed it', () => {
    expect(heldBackBy({ relinking: 'True' }, true)).toBe('relinking');
    expect(heldBackBy({ relinking: 'True' }, false)).toBeUndefined();
    expect(heldBackBy({ paused: 'true' }, false)).toBe('paused');
  });

  it('activating holds nothing back by itself: adding it fails where it is there', () => {
    expect(heldBackBy({ activating: 'True' }, true)).toBeUndefined();
  });

  it('activating is nobody’s after a while: who lives has its claim by then', () => {
    expect(isAbandoned(1000)).toBe(false);
    expect(isAbandoned(16_000)).toBe(true);
  });
});

/** A host, and a disk that another host has for writing; `allowed` by the file that stock looks for. */
async function diskOfAnother(allowed: boolean) {
  const session = await openXapiSession();
  const root = mkdtempSync(join(tmpdir(), 'rbdsr-multiple-'));
  onTestFinished(async () => {
    rmSync(root, { recursive: true });
    await session[Symbol.asyncDispose]();
  });
  mkdirSync(join(root, 'etc/xensource'), { recursive: true });
  if (allowed) writeFileSync(join(root, 'etc/xensource/allow_multiple_vdi_attach'), '');
  const { double, xapi } = session;
  const own = `host_${double.master.ref}`;
  const other = double.db.create('host', { name_label: 'other' });
  double.offline.add(other.ref);
  const vdi = double.db.create('VDI', { sm_config: { vdi_type: 'vhd', [`host_${other.ref}`]: 'RW' } });
  const work = {
    subject: {
      srMaster: false,
      hostRef: double.master.ref,
      vdiRef: vdi.ref,
      vdiUuid: stringOf(vdi, 'uuid'),
      srUuid: randomUUID(),
    },
    profile: hostProfile('8.3b', { commandDeadlineSeconds: {} }, root),
    deadline: Deadline.after(10_000),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    waiting() {},
    xapi: () => Promise.resolve(xapi),
    connect: () => Promise.resolve(xapi),
  } as unknown as SrWork;
  return { work, marks: () => Object.keys(mapOf(vdi, 'sm_config')).filter((key) => key.startsWith('host_')), own, vdi };
}

it('where an administrator allows it two hosts have a disk for writing: before it is used, and before it is handed out', async () => {
  const { work, marks, own, vdi } = await diskOfAnother(true);
  expect(await tryClaim(work, true, 0)).toEqual({ isNew: true });
  expect(marks()).toHaveLength(2);
  // A xapi that starts anew takes it away.
  const { [own]: _own, ...rest } = mapOf(vdi, 'sm_config');
  vdi.fields['sm_config'] = rest;
  await keepClaim(work, true);
  expect(marks()).toHaveLength(2);
});

it('nowhere else', async () => {
  const { work, marks } = await diskOfAnother(false);
  await failureOf('vdi-unavailable', () => tryClaim(work, true, 0));
  await failureOf('vdi-unavailable', () => keepClaim(work, true));
  expect(marks()).toHaveLength(1);
});
