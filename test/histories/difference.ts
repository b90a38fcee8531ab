/** The product is not what the model says. */
export class Difference extends Error {
  override readonly name = 'Difference';
}

export function differs(...problems: readonly string[]): void {
  if (problems.length > 0) throw new Difference(problems.join('\n'));
}
