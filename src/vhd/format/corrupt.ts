import { RbdsrError } from '../../base/error.ts';

/** A 'vhd-corrupt' error that names the field, the byte where it starts on the disk, and both values. */
export function corrupt(field: string, offset: number, expected: string, found: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', {
    what: `VHD ${field} at byte ${offset} is invalid`,
    expected,
    found,
    facts: { field, offset },
  });
}

export function hex(value: number | bigint, digits = 8): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
