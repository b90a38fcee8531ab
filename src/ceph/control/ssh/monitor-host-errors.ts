import { RbdsrError } from '../../../base/error.ts';
import type { RunOutcome } from '../../../system/run.ts';
import { errnoOf, toolFailed, toolNotAllowed } from '../tools/ceph-tool-errors.ts';
import type { ToolFailure } from '../tools/ceph-tool-errors.ts';
import { SCRIPT_EXIT } from './monitor-host-script.ts';

/** Who is asked, for messages. */
export interface RemoteAccount {
  readonly user: string;
  /** "10.0.0.11:22". */
  readonly host: string;
}

/** What a failed call on the monitor's host means. Tools that give only text are told apart by SUDO and CEPH below. */
export function remoteFailure(failure: ToolFailure, account: RemoteAccount, keyring: boolean): RbdsrError {
  const { outcome } = failure;
  const code = outcome.end.kind === 'exit' ? outcome.end.code : undefined;
  if (code === SCRIPT_EXIT.noProgram || code === SCRIPT_EXIT.cephadm) {
    return toolsMissing(failure.program, account, code === SCRIPT_EXIT.cephadm);
  }
  if (code === SCRIPT_EXIT.noSudo) return sudoMissing(account);
  const refusal = code === 1 ? sudoRefusal(outcome.stderr) : undefined;
  if (refusal !== undefined) return sudoRefused(refusal, failure, account);
  const errno = errnoOf(outcome);
  const connected = !CEPH.notConnected.test(outcome.stderr);
  // What the library says about a keyring is logged by a thread of its own and may be lost when the program ends.
  if (CEPH.noKeyring.test(outcome.stderr) || (!connected && !keyring && (errno === 'EACCES' || errno === 'ENOENT'))) {
    return keyringMissing(failure, account);
  }
  if (CEPH.noConfig.test(outcome.stderr)) return configMissing(failure, account);
  if (errno === 'ETIMEDOUT') return silent(failure, account, failure.program === 'ceph' || !connected);
  // `ceph` exits with 1, which is also EPERM, when its connection timed out and for whatever it did not foresee.
  if (failure.program === 'ceph' && CEPH.timedOut.test(outcome.stderr)) return silent(failure, account, true);
  if (errno === 'EACCES') return toolNotAllowed(failure);
  return toolFailed(failure);
}

/** The account's shell did not run what it was given. */
export function accountUnusable(outcome: RunOutcome, account: RemoteAccount): RbdsrError {
  const said = `${outcome.stdout}${outcome.stderr}`.trim().slice(0, 120);
  return new RbdsrError('ssh-login', {
    what: `${JSON.stringify(account.user)} may log in at ${account.host}, but runs no commands there`,
    expected: 'an account with a POSIX shell and no forced command',
    found: said === '' ? 'no answer at all' : JSON.stringify(said),
    todo: '`usermod -s /bin/sh USER` on the monitor gives it a shell; see also ForceCommand in sshd_config and command= in authorized_keys.',
    facts: { host: account.host, user: account.user },
  });
}

interface SudoRefusal {
  readonly pattern: RegExp;
  readonly what: (account: RemoteAccount) => string;
  readonly todo: string;
}

/**
 * Captured: sudo 1.9.13 (Debian 12); 1.8 and 1.7 say "sorry, a password is required" and the rest alike. LC_ALL=C;
 * first match counts.
 */
const SUDO: readonly SudoRefusal[] = [
  {
    pattern: /you must have a tty to run sudo|a terminal is required to read the password/,
    what: ({ user, host }) => `sudo at ${host} wants a terminal for ${JSON.stringify(user)}, and RBDSR uses none`,
    todo: 'Add `Defaults:USER !requiretty` to the sudoers of the monitor.',
  },
  {
    pattern: /is not in the sudoers file|is not allowed to (?:execute|run)|may not run sudo/,
    what: ({ user, host }) => `sudo at ${host} does not let ${JSON.stringify(user)} run this command as root`,
    todo: 'Use a sudoer, or give this account the short sudoers list of docs/monitor-over-ssh.md.',
  },
  {
    pattern: /incorrect password attempt|no password was provided|^Sorry, try again/m,
    what: ({ user, host }) =>
      `sudo at ${host} asks ${JSON.stringify(user)} for a password and refuses the one that was given`,
    todo: "The CHAP password is given to sudo too: give the account's own, or let it use sudo without a password (NOPASSWD).",
  },
  {
    pattern: /password is required/,
    what: ({ user, host }) => `sudo at ${host} asks ${JSON.stringify(user)} for a password, and none is given`,
    todo: 'Fill in the CHAP password, or let the account use sudo without a password (NOPASSWD).',
  },
  {
    // All that was said: beside other lines it is a remark, and those say what failed.
    pattern: /^sudo: .*(?:\n+sudo: .*)*\n*$/,
    what: ({ host }) => `sudo at ${host} failed`,
    todo: 'Try `sudo -n ceph fsid` there by hand.',
  },
];

/** With DNS down sudo remarks that it does not know its own host, and goes on. */
const REMARK = /^sudo: unable to resolve host .*\n?/gm;

function sudoRefusal(stderr: string): SudoRefusal | undefined {
  const said = stderr.replaceAll(REMARK, '');
  return SUDO.find(({ pattern }) => pattern.test(said));
}

/** Captured: ceph and rbd 16.2.15. */
const CEPH = {
  noKeyring: /unable to find a keyring|no keyring found|failed to load keyring/,
  noConfig: /conf_read_file|unable to get monitor info|no monitors specified/,
  notConnected: /error connecting to the cluster|couldn't connect to the cluster/,
  timedOut: /^timed out$|RADOS timed out/m,
} as const;

function toolsMissing(program: string, { host }: RemoteAccount, cephadm: boolean): RbdsrError {
  return new RbdsrError('control-plane-missing', {
    what: cephadm
      ? `the Ceph at ${host} was set up by cephadm, which keeps the program ${program} in containers`
      : `the program ${program} is not installed at ${host}`,
    expected: 'the programs ceph and rbd of the package ceph-common, and an admin keyring',
    todo: cephadm
      ? 'Run `cephadm install ceph-common` there, or install the package ceph-common, and check with `ceph -s`; `cephadm shell -- ceph -s` shows that the cluster itself is well.'
      : 'Install the package ceph-common there, or name a host of the cluster that has it.',
    facts: { programs: program, host },
  });
}

function sudoMissing({ user, host }: RemoteAccount): RbdsrError {
  return new RbdsrError('sudo-refused', {
    what: `${JSON.stringify(user)} is not root at ${host}, and there is no sudo`,
    todo: 'Install sudo there, or give root as CHAP user.',
    facts: { host, user },
  });
}

function sudoRefused(refusal: SudoRefusal, { outcome, command }: ToolFailure, account: RemoteAccount): RbdsrError {
  return new RbdsrError('sudo-refused', {
    what: refusal.what(account),
    expected: `\`${command}\` by sudo`,
    found: JSON.stringify(lastLine(outcome.stderr)),
    todo: refusal.todo,
    facts: { host: account.host, user: account.user, command },
  });
}

function keyringMissing({ command }: ToolFailure, { host }: RemoteAccount): RbdsrError {
  return new RbdsrError('admin-key-missing', {
    what: `root at ${host} has no keyring of client.admin, so \`${command}\` cannot talk to the cluster`,
    expected: '/etc/ceph/ceph.client.admin.keyring',
    todo: 'Copy it from a host that has one (`ceph auth get client.admin`), name such a host instead, or give `client.NAME` and its key as CHAP user and password.',
    facts: { host, command },
  });
}

function configMissing({ command, outcome }: ToolFailure, { host }: RemoteAccount): RbdsrError {
  return new RbdsrError('admin-key-missing', {
    what: `there is no usable /etc/ceph/ceph.conf at ${host}, so \`${command}\` does not find the cluster`,
    found: JSON.stringify(lastLine(outcome.stderr)),
    todo: '`ceph config generate-minimal-conf` on a host of the cluster prints one.',
    facts: { host, command },
  });
}

/** `ceph` talks to monitors alone; `rbd` says which of the two it could not reach. */
function silent({ command, outcome }: ToolFailure, { host }: RemoteAccount, monitors: boolean): RbdsrError {
  const facts = { host, command };
  const found = errnoOf(outcome);
  if (monitors) {
    return new RbdsrError('quorum-lost', {
      what: `the host ${host} answers, but the monitors of its cluster are not in quorum: \`${command}\` did not end in time`,
      found,
      todo: 'Start the missing monitors; `ceph daemon mon.ID mon_status` on a monitor shows what it waits for.',
      facts,
    });
  }
  return new RbdsrError('osd-unresponsive', {
    what: `the monitors answer, but \`${command}\` did not end in time at ${host}: the OSDs do not answer`,
    found,
    todo: '`ceph -s` there shows the state of the OSDs.',
    facts,
  });
}

function lastLine(stderr: string): string {
  return (stderr.trim().split('\n').at(-1) ?? '').slice(0, 200);
}
