/** One measured number. `ratio` is against `reference`, which was measured in the same run on the same machine. */
export interface Row {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly reference?: Reference;
  /** What it may be seen beside, too. */
  readonly second?: Reference;
  readonly aim?: Aim;
}

export interface Reference {
  readonly name: string;
  readonly value: number;
}

/** What the design aims at: the ratio to the reference, or the value itself, at most or at least `limit`. */
export interface Aim {
  readonly of: 'ratio' | 'value';
  readonly bound: 'at most' | 'at least';
  readonly limit: number;
}

export interface Bench {
  readonly name: string;
  readonly title: string;
  run(report: (line: string) => void): Promise<readonly Row[]>;
}

/** value / reference, or undefined where there is no reference. */
export function ratioOf(row: Row, reference = row.reference): number | undefined {
  return reference === undefined || reference.value === 0 ? undefined : row.value / reference.value;
}

/** 'met' or 'missed' where the row has an aim. */
export function verdictOf(row: Row): 'met' | 'missed' | undefined {
  if (row.aim === undefined) return undefined;
  const measured = row.aim.of === 'ratio' ? ratioOf(row) : row.value;
  if (measured === undefined) return undefined;
  const met = row.aim.bound === 'at most' ? measured <= row.aim.limit : measured >= row.aim.limit;
  return met ? 'met' : 'missed';
}

/** The middle value; of an even number of samples the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError('median of no samples');
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
