import { readFileSync } from 'node:fs';
import { RbdsrError } from '../base/error.ts';

/** What `/etc/xensource-inventory` says of this host. */
export interface Inventory {
  /** The uuid xapi knows this host by (INSTALLATION_UUID). */
  readonly hostUuid: string;
  /** PRODUCT_VERSION as numbers: [8, 3, 0]. */
  readonly productVersion: readonly number[];
}

export function readInventory(path: string): Inventory {
  try {
    return parseInventory(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new RbdsrError('config-missing', {
      what: `${path} does not exist`,
      expected: 'dom0 of a XenServer or XCP-ng host',
      cause: error,
    });
  }
}

/** Lines of `NAME='value'`; quotes may be single, double or absent. */
export function parseInventory(text: string, path: string): Inventory {
  const entries = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, , value] = /^\s*([A-Z0-9_]+)=(['"]?)(.*)\2\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) entries.set(name, value);
  }
  const hostUuid = entries.get('INSTALLATION_UUID');
  const version = entries.get('PRODUCT_VERSION');
  if (hostUuid === undefined || version === undefined) {
    throw new RbdsrError('config-missing', {
      what: `${path} lacks ${hostUuid === undefined ? 'INSTALLATION_UUID' : 'PRODUCT_VERSION'}`,
    });
  }
  return { hostUuid, productVersion: version.split('.').map((part) => Number.parseInt(part, 10) || 0) };
}
