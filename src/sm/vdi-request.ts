import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import type { SmCall } from './handler.ts';

export function vdiOf(call: SmCall): VdiUuid {
  const { vdiUuid } = call.request;
  if (vdiUuid === undefined) throw new RbdsrError('bad-request', { what: 'the request has no vdi_uuid' });
  return vdiUuid;
}

export function vdiRefOf(call: SmCall): string {
  return required(call, 'vdiRef', 'vdi_ref');
}

export function srRefOf(call: SmCall): string {
  return required(call, 'srRef', 'sr_ref');
}

export function hostRefOf(call: SmCall): string {
  return required(call, 'hostRef', 'host_ref');
}

/** A size in an argument, bytes. */
export function sizeArgument(call: SmCall, index: number): number {
  const text = call.request.args[index] ?? '';
  if (/^-?[0-9]{1,16}$/.test(text)) return Number(text);
  throw new RbdsrError('vdi-size', {
    what: 'the size asked for a disk is not a number',
    expected: 'bytes in decimal digits',
    found: JSON.stringify(text.slice(0, 40)),
  });
}

export function writableArgument(call: SmCall): boolean {
  return call.request.args[0] === 'true';
}

function required(call: SmCall, key: 'vdiRef' | 'srRef' | 'hostRef', name: string): string {
  const value = call.request[key];
  if (value === undefined) throw new RbdsrError('bad-request', { what: `the request has no ${name}` });
  return value;
}
