import { OWN_USER_PREFIX } from '../../ceph/control/own-user.ts';

/** `rbdsr-UUID`, and `rbdsr-UUID-2` and so on after a change of key. */
export function isOwnUser(user: string, sr: string): boolean {
  return ownUserNumber(user, sr) !== undefined;
}

/** A name that this SR has not used. */
export function nextOwnUser(sr: string, used: readonly string[]): string {
  const last = Math.max(0, ...used.flatMap((user) => ownUserNumber(user, sr) ?? []));
  return last === 0 ? `${OWN_USER_PREFIX}${sr}` : `${OWN_USER_PREFIX}${sr}-${last + 1}`;
}

function ownUserNumber(user: string, sr: string): number | undefined {
  const plain = `${OWN_USER_PREFIX}${sr}`;
  if (user === plain) return 1;
  const [, number] = user.startsWith(plain) ? (/^-([1-9][0-9]{0,5})$/.exec(user.slice(plain.length)) ?? []) : [];
  return number === undefined ? undefined : Number(number);
}
