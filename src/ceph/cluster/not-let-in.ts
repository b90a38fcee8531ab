import { RbdsrError } from '../../base/error.ts';

/**
 * The one sentence for three reasons, since monitors of 16 and later tell them apart in messenger v1 alone, and the
 * ceph tools nowhere.
 */
export function userNotLetIn(user: string, found: string): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the cluster does not let client.${user} log in: there is no such user, its key is another, or it may ask the monitors nothing`,
    expected: "an existing user, its own key, and the capability mon 'profile rbd'",
    found,
    todo: `\`ceph auth get client.${user}\` on a host with an admin key shows all three.`,
    facts: { user, mayLack: 'mon' },
  });
}
