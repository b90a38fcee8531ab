/** A failure as xapi reports it: a code and its parameters (`ErrorDescription`). */
export class XapiError extends Error {
  readonly description: readonly string[];

  constructor(code: string, ...params: readonly string[]) {
    super([code, ...params].join(' | '));
    this.name = 'XapiError';
    this.description = [code, ...params];
  }

  get code(): string {
    return this.description[0] ?? '';
  }

  /** Of SR_BACKEND_FAILURE_<n>: n; else undefined. */
  get backendNumber(): number | undefined {
    const match = /^SR_BACKEND_FAILURE_(\d+)$/.exec(this.code);
    return match?.[1] === undefined ? undefined : Number(match[1]);
  }
}
