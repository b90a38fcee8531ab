import { hasCode, type RbdsrError } from '../../base/error.ts';

/** Something a checker has to say about an image. */
export interface ImageFinding {
  /** An error makes the image unsound. */
  readonly severity: 'error' | 'warning';
  readonly code: FindingCode;
  /** For people: what is wrong, and at which byte. */
  readonly message: string;
}

export type FindingCode =
  | 'too-small'
  | 'odd-size'
  | 'too-short'
  | 'end-footer'
  | 'footer-copy'
  | 'footers-differ'
  | 'cut-short'
  | 'footer-field'
  | 'header-field'
  | 'header'
  | 'bat-beyond-end'
  | 'metadata-overlap'
  | 'locator'
  | 'parent-name'
  | 'future'
  | 'geometry'
  | 'too-large'
  | 'block-in-metadata'
  | 'block-beyond-end'
  | 'block-overlap'
  | 'batmap-header'
  | 'batmap-checksum'
  | 'batmap-unallocated'
  | 'batmap-not-full';

/** Of each kind; a BAT of noise would yield a million. */
export const MOST_OF_A_KIND = 20;

/** Collects findings and says how many more there are of a kind that repeats. */
export class Findings {
  readonly #list: ImageFinding[] = [];
  readonly #counts = new Map<FindingCode, number>();

  error(code: FindingCode, message: string): void {
    this.#add({ severity: 'error', code, message });
  }

  warning(code: FindingCode, message: string): void {
    this.#add({ severity: 'warning', code, message });
  }

  /** So many more, beyond the first MOST_OF_A_KIND: whoever has a million of them makes no message for each. */
  more(code: FindingCode, count: number): void {
    if (count > 0) this.#counts.set(code, (this.#counts.get(code) ?? 0) + count);
  }

  all(): ImageFinding[] {
    const more = [...this.#counts].filter(([, count]) => count > MOST_OF_A_KIND);
    const rests = more.map(([code, count]): ImageFinding => {
      const severity = this.#list.find((finding) => finding.code === code)?.severity ?? 'error';
      return { severity, code, message: `and ${count - MOST_OF_A_KIND} more of this kind` };
    });
    return [...this.#list, ...rests];
  }

  #add(finding: ImageFinding): void {
    const count = (this.#counts.get(finding.code) ?? 0) + 1;
    this.#counts.set(finding.code, count);
    if (count <= MOST_OF_A_KIND) this.#list.push(finding);
  }
}

/** What is read, or undefined and a report where it is 'vhd-corrupt'. */
export async function orFinding<T>(read: Promise<T>, report: (error: RbdsrError) => void): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (!hasCode(error, 'vhd-corrupt')) throw error;
    report(error);
    return undefined;
  }
}
