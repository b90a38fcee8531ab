import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeCall } from '../src/xmlrpc/encode.ts';

/** The cheapest request there is. */
export const DRIVER_INFO_REQUEST = encodeCall('sr_get_driver_info', [
  { host_ref: 'OpaqueRef:H', command: 'sr_get_driver_info', args: [], device_config: {} },
]);

/** The product as a host has it, built into a folder of its own, on a host that is a folder; disposing removes both. */
export interface ProductHome extends Disposable {
  readonly product: string;
  /** Makes its programs look at that host. */
  readonly env: Readonly<Record<string, string>>;
}

export function productHome(): ProductHome {
  const home = mkdtempSync(join(tmpdir(), 'rbdsr-bench-product-'));
  const product = join(home, 'product');
  execFileSync(process.execPath, ['scripts/build.mjs', product], { stdio: 'pipe' });
  mkdirSync(join(product, 'runtime/bin'), { recursive: true });
  symlinkSync(process.execPath, join(product, 'runtime/bin/node'));
  mkdirSync(join(home, 'root/etc'), { recursive: true });
  writeFileSync(join(home, 'root/etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='bench'\n");
  return {
    product,
    env: {
      PATH: '/usr/bin:/bin',
      RBDSR_ROOT: join(home, 'root'),
      RBDSR_HOME: product,
      RBDSR_RUN: join(home, 'run'),
    },
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}
