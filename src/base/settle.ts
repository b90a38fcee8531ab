/**
 * Waits for all of them, also after a failure, so that nothing runs on behind the caller's back; then throws the first
 * failure.
 */
export async function settled<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  const values: T[] = [];
  let failure: PromiseRejectedResult | undefined;
  for (const outcome of await Promise.allSettled(tasks)) {
    if (outcome.status === 'fulfilled') values.push(outcome.value);
    else failure ??= outcome;
  }
  if (failure !== undefined) throw failure.reason;
  return values;
}
