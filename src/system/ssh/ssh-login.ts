import { readFileSync } from 'node:fs';
import type { AnyAuthMethod, AuthenticationType, ParsedKey } from 'ssh2';
import type { Secret } from '../../base/secret.ts';

/** How an attempt to log in ended, on a server whose host key was accepted. */
export type LoginOutcome = 'ready' | 'refused' | 'too-many-failures' | 'password-expired';

/** A way to prove who we are, in the order in which they are tried. */
export interface LoginKeys {
  readonly usable: readonly { readonly path: string; readonly key: ParsedKey }[];
  /** Paths of files that are there but cannot be used, and why. */
  readonly unusable: readonly string[];
}

/** The private keys among `paths` that are there and have no passphrase. */
export function readLoginKeys(
  paths: readonly string[],
  parse: (text: string) => ParsedKey | Error | readonly ParsedKey[],
): LoginKeys {
  const usable: LoginKeys['usable'][number][] = [];
  const unusable: string[] = [];
  for (const path of paths) {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      const { code = 'an error' } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') unusable.push(`${path} (${code})`);
      continue;
    }
    const parsed = parse(text);
    const [key] = parsed instanceof Error ? [] : [parsed].flat();
    if (key?.isPrivateKey() === true) usable.push({ path, key });
    else unusable.push(`${path} (${parsed instanceof Error ? parsed.message : 'not a private key'})`);
  }
  return { usable, unusable };
}

/**
 * Chooses what to try next, as ssh2 asks for it: the keys, then the password once. By the method `password` where the
 * server has it, else by `keyboard-interactive`, so that a wrong password counts as one failure on a server that locks
 * accounts. After a partial success (sshd's AuthenticationMethods) the password may be needed a second time.
 */
export class LoginSequence {
  /** What was tried, in words, for the message of a refusal. */
  readonly tried: string[] = [];
  /** What the server offers, as far as it said. */
  offered: readonly string[] = [];
  method: 'publickey' | 'password' | 'keyboard-interactive' | undefined;
  passwordSent = false;
  readonly #user: string;
  readonly #keys: LoginKeys['usable'][number][];
  readonly #password: Secret | undefined;

  constructor(user: string, keys: LoginKeys['usable'], password: Secret | undefined) {
    this.#user = user;
    this.#keys = [...keys];
    this.#password = password;
  }

  /** `left` is null before the first answer of the server. */
  next(left: readonly AuthenticationType[] | null, partial: boolean): AnyAuthMethod | false {
    const username = this.#user;
    // Asking for nothing tells which methods there are, at the price of one round trip, and is not counted as a failure
    // by sshd.
    if (left === null) return { type: 'none', username };
    this.offered = left;
    if (partial) this.passwordSent = false;
    const key = left.includes('publickey') ? this.#keys.shift() : undefined;
    if (key !== undefined) {
      this.method = 'publickey';
      this.tried.push(`the key ${key.path}`);
      return { type: 'publickey', username, key: key.key };
    }
    if (this.#password === undefined || this.passwordSent) return false;
    const method = (['password', 'keyboard-interactive'] as const).find((name) => left.includes(name));
    if (method === undefined) return false;
    this.method = method;
    this.passwordSent = true;
    this.tried.push('the password');
    const password = this.#password.reveal();
    if (method === 'password') return { type: 'password', username, password };
    let asked = false;
    return {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => {
        // What is not echoed is a password; a second question is not, or the first answer was wrong.
        const answer = asked ? '' : password;
        asked = true;
        finish(prompts.map(({ echo }) => (echo === true ? '' : answer)));
      },
    };
  }
}
