import { RbdsrError } from '../../base/error.ts';
import { type Host, STATE_DIR } from '../host.ts';

/** An older version does not know what a newer one may have recorded. 'config-invalid' */
export function refuseNewerState({ journal, product }: Host): void {
  const wrote = journal.content?.product;
  if (wrote === undefined || !isNewer(wrote, product)) return;
  throw new RbdsrError('config-invalid', {
    what: `RBDSR ${wrote} was enabled on this host, and this is the older ${product}`,
    expected: `${wrote} or later for what is recorded in ${STATE_DIR}`,
    found: product,
    todo: `Install ${wrote} or later. To go back to ${product}: install ${wrote}, rbdsr disable, remove RBDSR, and install ${product}. Nothing was changed.`,
  });
}

/** By the numbers of `X.Y.Z`. */
export function isNewer(version: string, than: string): boolean {
  const [a, b] = [numbersOf(version), numbersOf(than)];
  const at = a.findIndex((number, index) => number !== (b[index] ?? 0));
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0);
}

function numbersOf(version: string): readonly number[] {
  return version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
}
