/** Part of a virtual range: `length` bytes from virtual byte `offset` on. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  /** The byte of the image where they lie; `ABSENT` where the image has none of them and its parent is asked. */
  readonly at: number;
}

export const ABSENT = -1;

/** Collects extents in order and joins neighbours that one request can read. */
export class ExtentList {
  readonly extents: Extent[] = [];

  add(offset: number, length: number, at: number): void {
    const last = this.extents.at(-1);
    const joins =
      last !== undefined && (at === ABSENT ? last.at === ABSENT : last.at >= 0 && last.at + last.length === at);
    if (joins) this.extents[this.extents.length - 1] = { ...last, length: last.length + length };
    else this.extents.push({ offset, length, at });
  }
}
