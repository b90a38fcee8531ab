import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { encodeFault } from '../../../src/xmlrpc/encode.ts';
import { DivertedHost } from './diverted-host.ts';
import { ISCSI, RBD, sr } from './requests.ts';
import { divertSource } from './verdicts.ts';

function fault(text: string): string {
  return encodeFault({ faultCode: 202, faultString: `The storage backend failed [opterr=${text}]` });
}

/** Every call of an iSCSI SR still works; one of ours is answered with `text`. */
function expectOnlyOursFails(host: DivertedHost, text: string): void {
  for (const command of ['sr_attach', 'vdi_activate', 'sr_scan']) {
    expect(host.run([sr(command, ISCSI)])).toMatchObject({ code: 0, stderr: 'stock was here\n' });
    expect(host.run([sr(command, RBD)])).toEqual({ code: 0, stdout: fault(text), stderr: '' });
  }
}

describe.each(['/bin/dash', '/bin/bash'])('where sh is %s', (shell) => {
  test('the launcher is missing or cannot run', () => {
    using host = new DivertedHost('8.2', { shell });
    const text = `${host.launcher} is missing, so RBDSR is not completely installed on this host. Run its installer again.`;
    host.forbid('launcher.sh');
    expectOnlyOursFails(host, text);
    host.remove('launcher.sh');
    expectOnlyOursFails(host, text);
  });

  test('the runtime or the programs are missing', () => {
    using host = new DivertedHost('8.2', { shell });
    host.placeRealLauncher();
    const node = join(host.home, 'runtime/bin/node');
    expectOnlyOursFails(
      host,
      `${node} is missing, so RBDSR is not completely installed on this host. Run its installer again.`,
    );
    host.placeRuntime();
    const bundle = join(host.home, 'sm.cjs');
    expectOnlyOursFails(
      host,
      `${bundle} is missing, so RBDSR is not completely installed on this host. Run its installer again.`,
    );
  });

  test.each([
    ['is gone', (host: DivertedHost): void => rmSync(host.stock)],
    ['cannot run', (host: DivertedHost): void => host.replaceStock('#!/bin/sh\n', 0o644)],
    ['leads back to the dispatcher', (host: DivertedHost): void => host.leadStock(host.tree.entry)],
    ['leads nowhere', (host: DivertedHost): void => host.leadStock('/nowhere')],
    ['is a copy of the dispatcher', (host: DivertedHost): void => host.replaceStock(divertSource(), 0o755)],
    ['is in no folder', (host: DivertedHost): void => rmSync(dirname(host.stock), { recursive: true })],
  ])(
    'what RBDSR keeps of the stock driver %s: the host has its own all the same, and then has not',
    (_what, damage) => {
      using host = new DivertedHost('8.2', { shell });
      damage(host);
      expect(host.run([sr('sr_attach', ISCSI)])).toMatchObject({ code: 0, stderr: 'stock was here\n' });
      rmSync(host.tree.stockFile);
      const text = `The stock iSCSI driver is not at ${host.stock}, where RBDSR keeps it. Reinstall the host's package sm, then run rbdsr repair.`;
      const answer = host.run([sr('sr_attach', ISCSI)]);
      expect(answer).toEqual({ code: 0, stdout: fault(text), stderr: '' });
      expect(decodeResponse(answer.stdout)).toMatchObject({ fault: { faultCode: 202 } });
      expect(host.run(['version'])).toEqual({ code: 127, stdout: '', stderr: `${text}\n` });
      expect(host.run([])).toEqual({ code: 127, stdout: '', stderr: `${text}\n` });
      expect(host.run([sr('sr_attach', RBD)]).stdout).toContain('launched LVMoISCSI');
    },
  );
});
