import { RbdsrError } from './error.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Canonical lower-case uuid of a storage repository. */
export type SrUuid = Branded<'SrUuid'>;
/** Canonical lower-case uuid of a virtual disk. */
export type VdiUuid = Branded<'VdiUuid'>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

export function srUuid(text: string): SrUuid {
  return checked(text, 'SR uuid') as SrUuid;
}

export function vdiUuid(text: string): VdiUuid {
  return checked(text, 'VDI uuid') as VdiUuid;
}

function checked(text: string, what: string): string {
  if (isUuid(text)) return text;
  throw new RbdsrError('bad-request', {
    what: `malformed ${what}`,
    expected: 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in lower-case hexadecimal',
    found: JSON.stringify(text.slice(0, 80)),
  });
}
