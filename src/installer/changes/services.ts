import { filesChange, type Settle } from '../changing/change.ts';
import { SYSTEMCTL, UNIT_DIR, UNITS, WATCH_UNIT } from './systemd-units.ts';
import { INIT_LINKS, INIT_SCRIPT, INIT_SCRIPT_PATH } from './sysv-script.ts';
import type { Placement } from '../changing/placement.ts';

/**
 * At boot, before xapi: puts back what a host update replaced. The same after a package update, where systemd watches
 * the folders. At shutdown, before the network stops: unmaps.
 */
export const services = filesChange({
  name: 'services',
  describe: 'mends after host updates; unmaps at shutdown',
  plan: (host) => ({ placements: host.version.services === 'systemd' ? SYSTEMD : SYSV }),
  settle: (host, direction) => (host.version.services === 'systemd' ? BY_SYSTEMD : SUBSYS)[direction],
});

/** Stopping the release unit does nothing while the host is not shutting down (release-images.ts). */
const BY_SYSTEMD: Settle = {
  apply: [
    [SYSTEMCTL, 'daemon-reload'],
    [SYSTEMCTL, 'start', '--no-block', 'rbdsr-release.service', WATCH_UNIT],
  ],
  revert: [
    [SYSTEMCTL, 'stop', '--no-block', WATCH_UNIT, 'rbdsr-release.service'],
    [SYSTEMCTL, 'daemon-reload'],
  ],
};

/** What a start by `rc` leaves. */
const SUBSYS: Settle = {
  apply: [['/bin/touch', '/var/lock/subsys/rbdsr']],
  revert: [['/bin/rm', '-f', '/var/lock/subsys/rbdsr']],
};

const SYSTEMD: readonly Placement[] = [
  ...UNITS.map(({ name, text }): Placement => {
    return { path: `${UNIT_DIR}/${name}`, want: { kind: 'file', data: text, mode: 0o644 }, owner: 'ours' };
  }),
  // What "systemctl enable" makes.
  ...UNITS.map(({ name }): Placement => {
    const path = `${UNIT_DIR}/multi-user.target.wants/${name}`;
    return { path, want: { kind: 'link', target: `${UNIT_DIR}/${name}` }, owner: 'ours' };
  }),
];

const SYSV: readonly Placement[] = [
  { path: INIT_SCRIPT_PATH, want: { kind: 'file', data: INIT_SCRIPT, mode: 0o755 }, owner: 'ours' },
  ...INIT_LINKS.map((path): Placement => ({ path, want: { kind: 'link', target: '../init.d/rbdsr' }, owner: 'ours' })),
];
