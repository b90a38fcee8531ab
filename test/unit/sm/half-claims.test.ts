import { expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { notUndone } from '../../../src/base/undo.ts';
import { activeHosts, tryClaim } from '../../../src/sr/hosts/host-keys.ts';
import type { SrWork } from '../../../src/sr/work/work.ts';
import { hostProfile } from '../../../src/dom0/host-profile.ts';
import type { Xapi } from '../../../src/xapi/client.ts';
import { openXapiSession } from '../../support/xapi-session.ts';

/** The connection fails from the n-th call on that `counts`, whether or not xapi has carried that one out. */
function failingFrom(xapi: Xapi, n: number, o: { readonly carriedOut: boolean }): Xapi {
  let calls = 0;
  return {
    close: () => xapi.close(),
    call: async (method, ...params) => {
      calls += 1;
      if (calls < n) return xapi.call(method, ...params);
      if (calls === n && o.carriedOut) await xapi.call(method, ...params);
      throw new RbdsrError('deadline', { what: `waited too long for ${method}` });
    },
  };
}

test.each([1, 2, 3, 4, 5, 6].flatMap((n) => [true, false].map((carriedOut) => ({ n, carriedOut }))))(
  'a claim that fails from its call $n to xapi on (done there: $carriedOut) leaves no mark that keeps others away',
  async ({ n, carriedOut }) => {
    await using session = await openXapiSession();
    const { double, xapi } = session;
    const vdi = double.db.create('VDI', { sm_config: { vdi_type: 'vhd' } });
    const warnings: string[] = [];
    const failing = failingFrom(xapi, n, { carriedOut });
    const call = {
      subject: { srMaster: false, hostRef: double.master.ref, vdiRef: vdi.ref, vdiUuid: stringOf(vdi, 'uuid') },
      profile: hostProfile('8.3b', { commandDeadlineSeconds: {} }, '/nonexistent'),
      deadline: Deadline.after(10_000),
      log: { debug() {}, info() {}, warn: (text: string) => void warnings.push(text), error() {} },
      waiting() {},
      xapi: () => Promise.resolve(failing),
      // What undoes it has a connection, and time, of its own.
      connect: () => Promise.resolve(xapi),
    } as unknown as SrWork;
    const outcome = await tryClaim(call, true, 0).catch((error: unknown) => error);
    const marks = Object.keys(mapOf(vdi, 'sm_config')).filter((key) => /^host_|^activating$/.test(key));
    // Nobody can tell whose `activating` it is where its answer was lost: another host may have it by then. It is
    // nobody's after a while.
    const unknown = n === 2 && carriedOut;
    expect(activeHosts(mapOf(vdi, 'sm_config'))).toHaveLength(outcome instanceof Error ? 0 : 1);
    if (unknown) expect(marks).toEqual(['activating']);
    else if (outcome instanceof Error)
      expect({ marks, warnings, left: notUndone(outcome) }).toEqual({ marks: [], warnings: [], left: [] });
    else expect(marks).toHaveLength(2);
  },
);
