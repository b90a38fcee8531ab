import { LAUNCHER, SM_DIR } from '../host.ts';

export const UNIT_DIR = '/etc/systemd/system';

export const SYSTEMCTL = '/usr/bin/systemctl';
/** Starts `rbdsr repair` after a host update. */
export const WATCH_UNIT = 'rbdsr-repair.path';

/** Where a host update shows: the driver's folder, and the list of drivers. */
export const WATCHED: readonly string[] = [SM_DIR, '/etc/xapi.conf', '/etc/xapi.conf.d'];

interface Unit {
  readonly name: string;
  readonly text: string;
}

/**
 * systemd 219 reads these; newer ones too. Orders refer to units of xen-api's `scripts` folder; a unit that is not
 * there does not matter.
 */
export const UNITS: readonly Unit[] = [
  {
    name: 'rbdsr-repair.service',
    // An HA statefile is attached before xapi starts, by attach-static-vdis.
    text: `[Unit]
Description=RBDSR: put back what a host update replaced
After=local-fs.target
Before=attach-static-vdis.service xapi.service
ConditionPathExists=${LAUNCHER}

[Service]
Type=oneshot
ExecStart=${LAUNCHER} repair
TimeoutStartSec=60
StartLimitInterval=0

[Install]
WantedBy=multi-user.target
`,
  },
  {
    name: WATCH_UNIT,
    text: `[Unit]
Description=RBDSR: notice a host update
ConditionPathExists=${LAUNCHER}

[Path]
${WATCHED.map((path) => `PathChanged=${path}\n`).join('')}Unit=rbdsr-repair.service

[Install]
WantedBy=multi-user.target
`,
  },
  {
    name: 'rbdsr-release.service',
    // Started after the network and before xapi, so stopped after xapi and before the network. What then still waits in
    // the kernel for a cluster cannot be killed, and is not waited for (KillMode).
    text: `[Unit]
Description=RBDSR: unmap RBD images before the network stops
After=network.target xcp-networkd.service openvswitch.service
Before=attach-static-vdis.service xapi.service
ConditionPathExists=${LAUNCHER}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=${LAUNCHER} release-images
TimeoutStopSec=90
KillMode=process

[Install]
WantedBy=multi-user.target
`,
  },
];
