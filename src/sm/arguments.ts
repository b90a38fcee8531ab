import { RbdsrError } from '../base/error.ts';
import type { SmCall } from './handler.ts';

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
