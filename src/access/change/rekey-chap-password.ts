import { RbdsrError } from '../../base/error.ts';
import type { Secret } from '../../base/secret.ts';
import type { Xapi } from '../../xapi/client.ts';
import type { PbdRecord } from '../../xapi/pbd.ts';
import { givePbdLogin } from '../pbd-logins.ts';
import type { PoolSr } from '../pool-sr.ts';

/**
 * The password by which a diverted SR logs in to a monitor has changed: writes it into its PBDs' secrets, and answers
 * those that had another.
 */
export async function rekeyChapPassword(
  xapi: Xapi,
  { sr, pbds, kind }: PoolSr,
  password: Secret,
): Promise<readonly PbdRecord[]> {
  const typed = pbds.filter(({ deviceConfig }) => isSshUser(deviceConfig['chapuser']));
  if (kind === 'rbd' || typed.length === 0) {
    throw new RbdsrError('invalid-argument', {
      what: `SR ${sr.uuid} has no SSH login`,
      expected: 'an SR that was made in the "New iSCSI SR" wizard with a user of the monitor as CHAP user',
      todo: '`rbdsr rekey SR --key-stdin` sets its cephx key.',
    });
  }
  return givePbdLogin(xapi, sr.uuid, typed, { passwordKey: 'chappassword', value: password, fields: {}, instead: [] });
}

function isSshUser(user = ''): boolean {
  return user !== '' && !user.startsWith('client.');
}
