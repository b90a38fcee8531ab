import { expect } from 'vitest';
import { UNRECORDED } from '../../lab/hosts/recorded-systemd.ts';
import { SYSTEMCTL_LOG } from '../../lab/hosts/start-script.ts';
import type { Pool } from '../../lab/pool.ts';

/** Fails where a host's systemctl was asked what was never recorded; forgets what it was asked. */
export async function refuseUnrecordedCalls(pool: Pool): Promise<void> {
  const asked = `touch ${SYSTEMCTL_LOG}; grep '^${UNRECORDED}' ${SYSTEMCTL_LOG} || true; : >${SYSTEMCTL_LOG}`;
  const answers = await Promise.all(pool.running.map((host) => host.shell(asked)));
  expect(answers.join('')).toBe('');
}
