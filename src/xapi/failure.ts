import { hasCode, RbdsrError } from '../base/error.ts';

/**
 * The failure xapi reported, as its ErrorDescription: a code and parameters. `hidden` texts (the session) are masked.
 */
export function xapiFailure(method: string, description: readonly string[], hidden: readonly string[]): RbdsrError {
  const [code = 'UNKNOWN', ...params] = description;
  const detail = params.map((param) => mask(param, hidden).slice(0, 500)).join(' | ');
  return new RbdsrError('xapi-failure', {
    what: `xapi refused ${method}`,
    found: detail === '' ? code : `${code} [${detail}]`,
    facts: { method, xapiCode: code, xapiDetail: detail },
  });
}

/** True when xapi reported one of `codes`, for example 'HANDLE_INVALID'. */
export function isXapiFailure(error: unknown, ...codes: readonly string[]): boolean {
  return hasCode(error, 'xapi-failure') && codes.includes(String(error.detail.facts?.['xapiCode']));
}

/** True when the object a call named is not in the database (any more). */
export function isGone(error: unknown): boolean {
  return isXapiFailure(error, 'HANDLE_INVALID', 'UUID_INVALID');
}

/** An answer that is not what the call is documented to give. */
export function unexpectedAnswer(method: string, expected: string, cause?: unknown): RbdsrError {
  return new RbdsrError('xapi-failure', {
    what: `xapi answered ${method} with something else than documented`,
    expected,
    facts: { method, xapiCode: 'UNEXPECTED_ANSWER' },
    cause,
  });
}

function mask(text: string, hidden: readonly string[]): string {
  return hidden.reduce((masked, secret) => (secret === '' ? masked : masked.replaceAll(secret, '***')), text);
}
