import { RbdsrError } from '../../base/error.ts';

const POWERS: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4, P: 5 };

/**
 * "2TiB", "500G", "1.5 T", "10737418240": bytes. Units are powers of 1024, with or without "iB" or "B", as `rbd create
 * --size` reads them; no unit means bytes. 'config-invalid' otherwise, below 1 byte, or from 2^53 on.
 */
export function parseSize(text: string): number {
  const [, number, unit] = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([KMGTP])(?:i?B)?|B)?\s*$/i.exec(text) ?? [];
  const power = POWERS[(unit ?? '').toUpperCase()];
  if (number === undefined || power === undefined) throw invalid(text);
  const bytes = Number(number) * 1024 ** power;
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw invalid(text);
  return bytes;
}

function invalid(text: string): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: 'a size is not understood',
    expected: 'a whole number of bytes, or a number with KiB, MiB, GiB or TiB, for instance 2TiB',
    found: JSON.stringify(text.slice(0, 80)),
  });
}
