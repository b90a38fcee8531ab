import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { removeFormerUsers } from '../../access/change/former-users.ts';
import { monitorOfSr, type SshChoice } from '../../access/monitor-login.ts';
import { type PoolSr, withPoolSr } from '../../access/pool-sr.ts';
import { rekeyChapPassword } from '../../access/change/rekey-chap-password.ts';
import { rekeyGivenUser } from '../../access/change/rekey-given-user.ts';
import { rekeyOwnUser } from '../../access/change/rekey-own-user.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import type { Xapi } from '../../xapi/client.ts';
import type { CliCall } from '../cli-call.ts';
import { onlyOne, secretFrom, sshChoice, type SshFlags } from '../ssh-options.ts';

export interface RekeyOptions extends SshFlags {
  readonly keyStdin?: true;
  readonly user?: string;
  readonly chapPasswordStdin?: true;
  readonly removeOld?: true;
}

const COMMAND_MS = 120_000;

/**
 * `rbdsr rekey`: another cephx user and key for an SR, or another SSH password, with its PBDs as they are and plugged
 * or not. Runs on any host of the pool, and again after whatever ended it (docs/recovery.md).
 */
export async function rekey(call: CliCall, uuid: string, o: RekeyOptions): Promise<number> {
  onlyOne({
    '--key-stdin': o.keyStdin === true,
    '--chap-password-stdin': o.chapPasswordStdin === true,
    '--remove-old': o.removeOld === true,
    '--password-stdin': o.passwordStdin === true && o.removeOld !== true,
  });
  if (o.user !== undefined && o.keyStdin !== true) throw keyMissing(o.user);
  const action = await actionOf(call, o);
  return withPoolSr(call.root, uuid, COMMAND_MS, action);
}

type Action = (xapi: Xapi, sr: PoolSr, deadline: Deadline) => Promise<number>;

/** Reads what has to be read before anything is opened: a person may take long to type. */
async function actionOf(call: CliCall, o: RekeyOptions): Promise<Action> {
  if (o.keyStdin === true) {
    const key = await secretFrom(call, `key of client.${o.user?.replace(/^client\./, '') ?? '(the user of now)'}`);
    const given = { key, ...(o.user === undefined ? {} : { user: o.user }) };
    return async (xapi, sr, deadline) => {
      const { user, tried } = await rekeyGivenUser(call.root, xapi, sr, given, deadline);
      call.print(`SR ${sr.sr.uuid} uses client.${user} from now on.\n`);
      if (!tried)
        call.print('Whether its key is right shows when a PBD is plugged: nobody on this host could try it.\n');
      call.print(whatIsLeft(sr, user));
      return 0;
    };
  }
  if (o.chapPasswordStdin === true) {
    const password = await secretFrom(call, 'new password of the SSH user');
    return async (xapi, sr) => {
      const changed = await rekeyChapPassword(xapi, sr, password);
      call.print(`SR ${sr.sr.uuid}: ${changed.length} of ${sr.pbds.length} PBDs had another password.\n`);
      return 0;
    };
  }
  const choice = await sshChoice(call, o);
  return o.removeOld === true ? removeOld(call, choice) : ownUser(call, choice);
}

function ownUser(call: CliCall, choice: SshChoice): Action {
  return async (xapi, sr, deadline) => {
    if (sr.kind === 'rbd') throw givenOnly(sr.sr.uuid);
    const open = opener(call, xapi, sr, choice, deadline);
    const { user, begunBefore, keyTypes } = await rekeyOwnUser(xapi, sr, open, krbdAt(call.root).keys, deadline);
    if (begunBefore) call.print('An earlier rekey had not come to its end: it is finished now.\n');
    call.print(`SR ${sr.sr.uuid} uses client.${user} from now on, which may use the pool of its image only.\n`);
    if (keyTypes !== undefined) call.print(`Its key is of a type that this host's kernel can use; ${keyTypes}.\n`);
    call.print(whatIsLeft(sr, user));
    return 0;
  };
}

function removeOld(call: CliCall, choice: SshChoice): Action {
  return async (xapi, sr, deadline) => {
    const users = await removeFormerUsers(xapi, sr, opener(call, xapi, sr, choice, deadline), deadline);
    if (users.length === 0) call.print(`SR ${sr.sr.uuid} has no cephx users that it used before.\n`);
    for (const { user, stillUsed } of users) {
      if (stillUsed.length === 0) call.print(`client.${user} is removed from the cluster.\n`);
      else call.print(`client.${user} stays:\n${stillUsed.map((use) => `  ${use}\n`).join('')}${byHand(user)}`);
    }
    return users.every(({ stillUsed }) => stillUsed.length === 0) ? 0 : 1;
  };
}

function opener(
  call: CliCall,
  xapi: Xapi,
  sr: PoolSr,
  choice: SshChoice,
  deadline: Deadline,
): () => Promise<MonitorHost> {
  return async () => {
    try {
      return await monitorOfSr(call.root, xapi, sr, choice, deadline);
    } catch (error) {
      if (!(error instanceof RbdsrError)) throw error;
      throw new RbdsrError(error.code, { ...error.detail, what: `${NEEDS_SSH}: ${error.detail.what}` });
    }
  };
}

const NEEDS_SSH = 'cephx users are made and removed by an administrator of the cluster alone, over SSH';

/** Nobody is cut off by the change itself; this is what an operator still has to do. */
function whatIsLeft({ sr, pbds, kept }: PoolSr, user: string): string {
  const plugged = pbds.filter(({ currentlyAttached }) => currentlyAttached);
  const formers = [...(kept?.formerUsers ?? []), ...(kept?.ownUser === true && kept.user !== user ? [kept.user] : [])];
  return [
    plugged.length === 0
      ? 'No host has the SR plugged.\n'
      : `${plugged.length} host(s) go on with what they have mapped the image by until their PBD is plugged anew, or they restart:\n`,
    ...plugged.map((pbd) => `  xe pbd-unplug uuid=${pbd.uuid} && xe pbd-plug uuid=${pbd.uuid}\n`),
    "Where HA has its state file on this SR, disable HA and enable it again: that writes each host's key file anew.\n",
    formers.length === 0
      ? ''
      : `Then remove what was used before (${formers.map((former) => `client.${former}`).join(', ')}): rbdsr rekey ${sr.uuid} --remove-old\n`,
  ].join('');
}

function byHand(user: string): string {
  return `Where none of this is so: ceph auth rm client.${user}, on a monitor.\n`;
}

function keyMissing(user: string): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: `--user ${user} needs its key`,
    expected: '--key-stdin, and the key on the standard input',
  });
}

function givenOnly(sr: string): RbdsrError {
  return new RbdsrError('invalid-argument', {
    what: `SR ${sr} is of type rbd, whose cephx user is the administrator's`,
    expected: '--key-stdin, and --user where the user changes too',
    todo: "`ceph auth get-or-create client.NAME mon 'profile rbd' osd 'profile rbd pool=POOL'` on a monitor makes one; where `ceph mon dump` shows auth_allowed_ciphers, with `--key-type aes` behind get-or-create.",
  });
}
