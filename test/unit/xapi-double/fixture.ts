import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { registerDriver } from '../../../lab/xapi-double/driver.ts';
import { localHost } from '../../../lab/xapi-double/local-host.ts';
import type { DoubleProfileId } from '../../../lab/xapi-double/profile.ts';
import { srCreate } from '../../../lab/xapi-double/sr-operations.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';

export interface Request {
  readonly command: string;
  readonly host_ref: string;
  readonly args: readonly string[];
  readonly device_config: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

/**
 * What a command does otherwise than the driver's default; `calls` are made before, "$member" standing for a member of
 * the request.
 */
export interface Behaviour {
  readonly fault?: readonly [number, string];
  readonly value?: unknown;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit?: number;
  readonly calls?: readonly (readonly [string, readonly unknown[]])[];
}

export interface DriverPool {
  readonly double: XapiDouble;
  readonly driver: string;
  /** The requests the driver got since the last look. */
  readonly requests: () => Request[];
  readonly behave: (commands: Readonly<Record<string, Behaviour>>) => void;
}

/**
 * Two hosts with a driver for SR type "stock" (stock-driver.py). `atEnd` registers the clean-up: the end of the test,
 * where left out.
 */
export async function startDriverPool(
  profileId: DoubleProfileId = '8.3a',
  atEnd: (cleanUp: () => Promise<void>) => void = onTestFinished,
): Promise<DriverPool> {
  const directory = mkdtempSync(join(tmpdir(), 'rbdsr-xapi-'));
  const driver = join(directory, 'STOCKSR');
  copyFileSync(join(import.meta.dirname, 'stock-driver.py'), driver);
  chmodSync(driver, 0o755);
  const host = localHost((program) => program.replace('/etc/xapi.d/plugins', directory));
  const double = await startXapiDouble({ tcp: { host: '127.0.0.1', port: 0 } }, host, { profileId, hosts: [{}, {}] });
  atEnd(async () => {
    await double.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const log = join(directory, 'requests.jsonl');
  const behave = (commands: Readonly<Record<string, Behaviour>>): void => {
    const address = `http://${double.tcpAddress ?? ''}/`;
    writeFileSync(join(directory, 'behaviour.json'), JSON.stringify({ address, commands }));
  };
  const requests = (): Request[] => {
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    rmSync(log, { force: true });
    return lines.map((line) => JSON.parse(line) as Request);
  };
  behave({});
  await registerDriver(double, driver);
  requests();
  return { double, driver, requests, behave };
}

/** The same with an SR that is plugged on both hosts; the requests so far are forgotten. */
export async function startSrPool(
  atEnd: (cleanUp: () => Promise<void>) => void = onTestFinished,
): Promise<DriverPool & { readonly sr: string }> {
  const pool = await startDriverPool('8.3a', atEnd);
  const { sr } = await srCreate(pool.double, { type: 'stock', deviceConfig: { target: 't' } });
  pool.requests();
  return { ...pool, sr: sr.ref };
}
