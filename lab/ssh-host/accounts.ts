import { check } from '../machine/program.ts';

/** One person on the host. */
export interface SshAccount {
  readonly name: string;
  /** Nobody can log in by password without one. */
  readonly password?: string;
  /** A line of authorized_keys. */
  readonly publicKey?: string;
  /** Everything as root: without a password, with the account's password, never, or only with a terminal. */
  readonly sudo: 'nopasswd' | 'password' | 'none' | 'tty';
  /** Lines of sudoers for this account; `sudo` is 'none' then. */
  readonly sudoers?: string;
  /** What bash reads even for a command that comes over SSH; the login shell is bash then, and sh otherwise. */
  readonly bashrc?: string;
}

/** Path below / to contents: the account database of a host that has root, these accounts and no one else. */
export async function accountFiles(accounts: readonly SshAccount[]): Promise<ReadonlyMap<string, string>> {
  const passwd = [
    'sshd:x:101:65534::/run/sshd:/usr/sbin/nologin',
    'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin',
  ];
  const shadow = ['sshd:!:19000::::::', 'nobody:*:19000::::::'];
  const groups = ['root:x:0:', 'tty:x:5:', 'shadow:x:42:', 'ssh:x:102:', 'nogroup:x:65534:'];
  const files = new Map<string, string>();
  if (!accounts.some(({ name }) => name === 'root')) {
    passwd.push('root:x:0:0::/root:/bin/sh');
    shadow.push('root:*:19000::::::');
  }
  for (const [index, account] of accounts.entries()) {
    const { name } = account;
    const id = name === 'root' ? 0 : FIRST_ID + index;
    passwd.push(`${name}:x:${id}:${id}::/home/${name}:${account.bashrc === undefined ? '/bin/sh' : '/bin/bash'}`);
    shadow.push(`${name}:${await hashOf(account.password)}:19000::::::`);
    if (id !== 0) groups.push(`${name}:x:${id}:`);
    files.set(`${KEY_FOLDER}/${name}`, account.publicKey === undefined ? '' : `${account.publicKey}\n`);
    if (account.bashrc !== undefined) files.set(`home/${name}/.bashrc`, account.bashrc);
  }
  files.set('etc/passwd', lines(passwd));
  files.set('etc/shadow', lines(shadow));
  files.set('etc/group', lines(groups));
  files.set('etc/sudoers', lines(['Defaults env_reset', 'root ALL=(ALL:ALL) ALL', ...accounts.map(sudoersOf)]));
  for (const service of ['sshd', 'sudo']) files.set(`etc/pam.d/${service}`, PAM);
  return files;
}

/** Where sshd looks for a name's authorized keys. */
export const KEY_FOLDER = 'etc/ssh/authorised';

const FIRST_ID = 2001;

/** No delay after a wrong password: the tests give several. */
const PAM = `auth required pam_unix.so nodelay
account required pam_unix.so
session required pam_permit.so
`;

function sudoersOf({ name, sudo, sudoers }: SshAccount): string {
  if (sudoers !== undefined) return sudoers;
  if (sudo === 'none') return `# nothing for ${name}`;
  if (sudo === 'password') return `${name} ALL=(ALL:ALL) ALL`;
  const line = `${name} ALL=(ALL:ALL) NOPASSWD: ALL`;
  return sudo === 'tty' ? `Defaults:${name} requiretty\n${line}` : line;
}

async function hashOf(password: string | undefined): Promise<string> {
  if (password === undefined) return '*';
  return (await check(['openssl', 'passwd', '-6', '-stdin'], { stdin: `${password}\n` })).trim();
}

function lines(entries: readonly string[]): string {
  return `${entries.join('\n')}\n`;
}
