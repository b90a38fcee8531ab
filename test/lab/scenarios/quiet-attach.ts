import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Row } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiAttach, vdiCreate, vdiDestroy, vdiDetach } from '../../../lab/xapi-double/vdi-operations.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { type Lab, makeSr } from '../scenario.ts';

const TRACE = '/tmp/driver.trace';

/** vdi_attach of an attached SR talks to nobody: no monitor, no resolver, no xapi. */
export function quietAttach(lab: Lab): void {
  let sr: { ref: string };
  let vdi: Row;

  beforeAll(async () => {
    const pool = lab();
    sr = await makeSr(pool, 'quiet');
    vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * 1024 * 1024 });
    await pool.host(0).shell(`
      printf '#!/bin/sh\\nexec strace -f -qq --seccomp-bpf -e trace=connect,sendto,sendmsg -o ${TRACE} /opt/rbdsr/launcher.sh "$@"\\n' >/tmp/traced
      chmod 755 /tmp/traced; ln -sf /tmp/traced ${DRIVER}`);
  });
  afterAll(() => lab().host(0).shell(`ln -sf /opt/rbdsr/launcher.sh ${DRIVER}`));

  /** What the launcher, the worker and all they start sent or connected to. */
  async function connectionsDuring(work: () => Promise<unknown>): Promise<string> {
    await lab().host(0).shell(`rm -f ${TRACE}`);
    await work();
    return lab().host(0).shell(`grep -E 'connect\\(|send(to|msg)\\(' ${TRACE} || true`);
  }

  test('vdi_attach makes no connection, where sr_scan asks xapi', async () => {
    const { double } = lab();
    const host = lab().hostRef(0);
    expect(await connectionsDuring(() => srScan(double, sr.ref))).toMatch(/connect\(.*AF_UNIX.*xapi/);
    expect(await connectionsDuring(() => vdiAttach(double, host, vdi.ref, { writable: true }))).toBe('');
    expect(await connectionsDuring(() => vdiDetach(double, host, vdi.ref))).toBe('');
    await vdiDestroy(double, vdi.ref);
  });
}
