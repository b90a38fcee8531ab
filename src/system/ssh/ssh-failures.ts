import { hasCode, RbdsrError } from '../../base/error.ts';
import type { Secret } from '../../base/secret.ts';
import { formatTarget } from './ssh-known-hosts.ts';
import type { SshTarget } from './ssh-known-hosts.ts';
import type { LoginOutcome } from './ssh-login.ts';

/**
 * What went wrong before the host key was judged. The texts are ssh2's own, by `level` and by message where it has no
 * level.
 */
export function connectionFailed(target: SshTarget, error: Error & { level?: string }): RbdsrError {
  const text = error.message;
  const common = /no matching (.*) algorithm|no matching .*/i.test(text);
  return new RbdsrError('ssh-protocol', {
    what: common
      ? `the SSH server at ${formatTarget(target)} is too old or too strict: no algorithm is known to both sides`
      : `what answers at ${formatTarget(target)} is not an SSH server, or ended the connection at once`,
    expected: common ? 'a server like OpenSSH 5.0 or later with its usual settings' : 'an SSH server',
    found: JSON.stringify(text.slice(0, 200)),
    todo: common
      ? "`sshd -T` on the monitor shows its algorithms; docs/monitor-over-ssh.md lists RBDSR's."
      : 'Check the address and the SSH port of the monitor, and whether sshd limits who may connect.',
    facts: { host: formatTarget(target) },
    cause: error,
  });
}

export function connectionLost(target: SshTarget, error: Error | undefined): RbdsrError {
  return new RbdsrError('ssh-protocol', {
    what: `the SSH connection to ${formatTarget(target)} was lost while a command ran there, or commands are not allowed`,
    found: JSON.stringify((error?.message ?? 'the connection ended').slice(0, 200)),
    todo: 'Try again; `journalctl -u ssh -u sshd` on the monitor tells why it ended.',
    facts: { host: formatTarget(target) },
    cause: error,
  });
}

export function loginRefused(
  target: SshTarget,
  login: { readonly user: string; readonly password?: Secret },
  outcome: LoginOutcome,
  evidence: {
    readonly tried: readonly string[];
    readonly offered: readonly string[];
    readonly unusable: readonly string[];
  },
): RbdsrError {
  const { tried, offered, unusable } = evidence;
  const who = JSON.stringify(login.user);
  const facts = { host: formatTarget(target), user: login.user };
  if (outcome === 'password-expired') {
    return new RbdsrError('ssh-login', {
      what: `the password of ${who} at ${formatTarget(target)} has expired`,
      todo: 'Log in there once by hand and change it, then give RBDSR the new one.',
      facts,
    });
  }
  const ignored = unusable.length === 0 ? '' : ` These keys could not be used: ${unusable.join(', ')}.`;
  if (tried.length === 0) {
    return new RbdsrError('ssh-login', {
      what: `there is nothing to log in with as ${who} at ${formatTarget(target)}`,
      expected: `a CHAP password, or a private key in /etc/rbdsr; the server takes ${offered.join(', ')}`,
      todo: `Fill in the CHAP user and password of an account on the monitor, or put its key into /etc/rbdsr/id_ed25519.${ignored}`,
      facts,
    });
  }
  return new RbdsrError('ssh-login', {
    what: `${formatTarget(target)} does not let ${who} log in over SSH`,
    expected: 'an account on the monitor and its password, given as CHAP user and CHAP password',
    found: `it refused ${tried.join(' and ')}; it takes ${offered.join(', ')}`,
    todo: `Check the user and the password with \`ssh -l USER ${target.host}\`; /etc/ssh/sshd_config there may limit who may log in and how.${ignored}`,
    facts,
  });
}

/** One target: its own failure. Several: each with its reason, under the code that says most. */
export function noTargetAnswers(targets: readonly SshTarget[], failures: readonly RbdsrError[]): RbdsrError {
  const [only] = failures;
  if (failures.length === 1 && only !== undefined) {
    if (!hasCode(only, 'deadline')) return only;
    return new RbdsrError('monitor-unreachable', {
      what: `${targets.map(formatTarget).join()} accepts connections, but SSH gets no answer in time`,
      found: only.detail.what,
      todo: 'Check that the host is alive and that sshd runs there.',
      facts: { host: targets.map(formatTarget).join() },
      cause: only,
    });
  }
  const code = failures.every((failure) => hasCode(failure, 'dns'))
    ? 'dns'
    : failures.some((failure) => hasCode(failure, 'ssh-protocol'))
      ? 'ssh-protocol'
      : 'monitor-unreachable';
  return new RbdsrError(code, {
    what: failures.length === 0 ? 'no monitor is named' : 'none of the monitors that are named can be reached over SSH',
    found: failures
      .map((failure, index) => {
        const [target] = targets.slice(index);
        return `${target === undefined ? '' : formatTarget(target)}: ${failure.detail.found ?? failure.detail.what}`;
      })
      .join('; '),
    todo: 'Check the addresses, that sshd runs there, and that a firewall lets this host reach its port.',
    facts: { hosts: targets.map(formatTarget).join(',') },
  });
}
