import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { placeBuiltProduct } from './built-product.ts';

/** Makes what `make` makes at a path whose folder need not be there yet. */
export function place(path: string, make: (path: string) => void): void {
  mkdirSync(dirname(path), { recursive: true });
  make(path);
}

/** The built product in a folder, with this machine's node as its runtime. */
export function buildProduct(folder: string): void {
  placeBuiltProduct(folder);
  place(join(folder, 'runtime/bin/node'), (path) => symlinkSync(process.execPath, path));
}

/** A host of XCP-ng 8.3 that is a folder: its inventory, an empty log, the way to xapi. */
export function placeHost(root: string, uuid: string, xapiSocket: string, at = '/var/lib/xcp/xapi'): void {
  const files = {
    'etc/xensource-inventory': `PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='${uuid}'\n`,
    'var/log/SMlog': '',
  };
  for (const [path, text] of Object.entries(files)) place(join(root, path), (at) => writeFileSync(at, text));
  place(join(root, at), (path) => symlinkSync(xapiSocket, path));
}
