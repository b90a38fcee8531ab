import { afterAll, beforeAll } from 'vitest';
import { unpackVectors } from './lvhd-vectors.ts';

/**
 * The archives of whole SRs that the stock storage manager left, each with what every image of it says
 * (test/fixtures/sr).
 */
export const STOCK_ARCHIVES: readonly string[] = [
  'plain',
  'chains',
  'interrupted-clone',
  'interrupted-coalesce',
  'interrupted-leaf',
  'interrupted-rawleaf',
  'stale-footer',
];

/** The archive's images, unpacked for the tests of one `describe`: the path of a file of it. */
export function useArchive(archive: string): (file: string) => string {
  let unpacked: ReturnType<typeof unpackVectors> | undefined;
  beforeAll(() => {
    unpacked = unpackVectors(archive);
  });
  afterAll(() => unpacked?.[Symbol.dispose]());
  return (file) => `${unpacked?.folder ?? ''}/${file}`;
}
