import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { XapiDouble } from '../../lab/xapi-double/double.ts';
import { startXapiDouble } from '../../lab/xapi-double/start.ts';
import { Deadline } from '../../src/base/deadline.ts';
import { loginXapi, type OwnXapi } from '../../src/xapi/client.ts';

/** xapi's double, whose hosts run no programs, and a session of our own with it. */
export interface XapiSession extends AsyncDisposable {
  readonly double: XapiDouble;
  readonly xapi: OwnXapi;
}

export async function openXapiSession(): Promise<XapiSession> {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-session-'));
  const socketPath = join(folder, 'xapi');
  const exec = (): Promise<never> => Promise.reject(new Error('no programs'));
  const double = await startXapiDouble({ unixSocket: socketPath }, { exec }, { profileId: '8.3b' });
  const xapi = await loginXapi({ socketPath, deadline: Deadline.after(60_000) });
  return {
    double,
    xapi,
    [Symbol.asyncDispose]: async () => {
      await xapi.logout();
      await double.close();
      rmSync(folder, { recursive: true });
    },
  };
}
