import type { Secret } from '../base/secret.ts';
import { RbdsrError } from '../base/error.ts';
import type { SshChoice } from '../access/monitor-login.ts';
import { readSecret } from '../system/secret-input.ts';
import type { CliCall } from './cli-call.ts';

/** Options of every command that may ask a monitor over SSH. */
export interface SshFlags {
  readonly monitor?: string;
  readonly sshUser?: string;
  readonly passwordStdin?: true;
  readonly hostKey?: string;
}

/**
 * What was named, the password asked for: on a terminal wherever a user was named, else only when the operator says
 * that it comes.
 */
export async function sshChoice(call: CliCall, o: SshFlags): Promise<SshChoice> {
  const asked = o.passwordStdin === true || (o.sshUser !== undefined && call.stdin?.isTTY === true);
  const password = asked ? await secretFrom(call, `password of ${o.sshUser ?? 'the SSH user'}`) : undefined;
  return {
    ...(o.monitor === undefined ? {} : { monitor: o.monitor }),
    ...(o.sshUser === undefined ? {} : { user: o.sshUser }),
    ...(password === undefined ? {} : { password }),
    ...(o.hostKey === undefined ? {} : { hostKey: o.hostKey }),
  };
}

/** One line of the standard input; on a terminal it is asked for and not shown. */
export function secretFrom(call: CliCall, what: string): Promise<Secret> {
  const { stdin, stderr } = call;
  if (stdin === undefined) throw new Error('this program has no standard input');
  return readSecret({ stdin, stderr }, what);
}

/** Options that exclude each other. */
export function onlyOne(options: Readonly<Record<string, boolean>>): void {
  const given = Object.keys(options).filter((name) => options[name] === true);
  if (given.length < 2) return;
  throw new RbdsrError('invalid-argument', { what: `${given.join(' and ')} do not go together` });
}
