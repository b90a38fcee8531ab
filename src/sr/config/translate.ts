import { RbdsrError } from '../../base/error.ts';
import { isUuid } from '../../base/ids.ts';
import { Secret } from '../../base/secret.ts';
import { parseUser } from '../../ceph/cluster/access.ts';
import { parseMonitors } from '../../ceph/cluster/monitors.ts';
import type { StringMap } from '../../xapi/values.ts';
import { aboutKey } from './about-key.ts';
import { choiceOfWizard } from './image-choice.ts';
import type { CephxLogin, PasswordSource, SshLogin, WizardConfig } from './wizard-config.ts';

/**
 * device_config of an iSCSI SR whose port is 6789. Keys that mean nothing here are ignored, as clients add their own
 * (Xen Orchestra `preferred-image-formats`); an empty value counts as absent. Throws 'target-missing', 'config-missing'
 * or 'config-invalid' that names the wizard's field; a password never shows.
 */
export function translate(deviceConfig: StringMap): WizardConfig {
  const get: Get = (key) => (deviceConfig[key] === '' ? undefined : deviceConfig[key]);
  const target = get('target') ?? missingTarget();
  const { pool, image } = choiceOfWizard(deviceConfig);
  const { ssh, cephx } = logins(get);
  return {
    step: pool === undefined ? 'list-pools' : image === undefined ? 'list-images' : 'chosen',
    target,
    monitors: aboutKey('target', () => parseMonitors(target)),
    ...(ssh === undefined ? {} : { ssh }),
    ...(cephx === undefined ? {} : { cephx }),
    ...(pool === undefined ? {} : { pool }),
    ...(image === undefined ? {} : { image }),
    allocation: get('allocation') === 'thin' ? 'thin' : 'thick',
  };
}

/** Discovery and sr_create need a login; a plug does not. 'config-missing' says what to type. */
export function requireLogin(config: WizardConfig): void {
  if (config.ssh !== undefined || config.cephx !== undefined) return;
  missing(
    'chapuser',
    'the CHAP user is a user of the monitor who may use sudo, the CHAP password that user\'s; or "client.NAME" and the key of that Ceph user',
  );
}

type Get = (key: string) => string | undefined;

/**
 * `client.NAME` in the CHAP fields is a Ceph user; so is whoever stands in the fields for mutual CHAP, beside an SSH
 * user.
 */
function logins(get: Get): { readonly ssh?: SshLogin; readonly cephx?: CephxLogin } {
  const user = get('chapuser');
  const password = passwordOf(get, 'chappassword');
  const incoming = get('incoming_chapuser');
  if (user === undefined) {
    if (password !== undefined) missing('chapuser', 'the user whose password the CHAP password is');
  } else if (user.startsWith('client.')) {
    if (incoming !== undefined)
      throw invalid('incoming_chapuser', 'nothing where chapuser is a Ceph user already', incoming);
    return { cephx: cephxLogin('chap', user, password) };
  }
  const ssh = user === undefined ? undefined : { user: sshUser(user), ...(password === undefined ? {} : { password }) };
  return {
    ...(ssh === undefined ? {} : { ssh }),
    ...(incoming === undefined
      ? {}
      : { cephx: cephxLogin('incoming_chap', incoming, passwordOf(get, 'incoming_chappassword')) }),
  };
}

function cephxLogin(prefix: 'chap' | 'incoming_chap', text: string, key: PasswordSource | undefined): CephxLogin {
  const user = aboutKey(`${prefix}user`, () => parseUser(text));
  return {
    user,
    key: key ?? missing(`${prefix}password`, `the key of client.${user}, as \`ceph auth get-key\` prints it`),
  };
}

/** A secret takes precedence over a clear password, as in the stock driver. */
function passwordOf(get: Get, key: string): PasswordSource | undefined {
  const uuid = get(`${key}_secret`);
  const clear = get(key);
  if (uuid === undefined) return clear === undefined ? undefined : { kind: 'key', key: new Secret(clear) };
  if (isUuid(uuid)) return { kind: 'secret', uuid };
  // Somebody may have put the password itself here: only its length is told.
  throw invalid(`${key}_secret`, 'the uuid of a secret', undefined, `${uuid.length} characters`);
}

/** As useradd(8) has names, and what directory services add; never an option of ssh. */
function sshUser(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]{0,254}\$?$/.test(text)) return text;
  throw invalid('chapuser', 'the name of a user of the monitor, or client.NAME for a Ceph user', text);
}

function missingTarget(): never {
  throw new RbdsrError('target-missing', {
    what: 'device-config target is missing',
    expected: 'the addresses of the Ceph monitors, separated by commas',
  });
}

function missing(key: string, expected: string): never {
  throw new RbdsrError('config-missing', { what: `device-config ${key} is missing`, expected });
}

function invalid(key: string, expected: string, value?: string, shown?: string): RbdsrError {
  const found = shown ?? JSON.stringify((value ?? '').slice(0, 80));
  return new RbdsrError('config-invalid', { what: `device-config ${key} cannot be used`, expected, found });
}
