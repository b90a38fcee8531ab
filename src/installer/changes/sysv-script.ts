import { LAUNCHER } from '../host.ts';

export const INIT_SCRIPT_PATH = '/etc/rc.d/init.d/rbdsr';

/**
 * CentOS 5: the network has S10 and K90 (initscripts), xapi S23 and K77 (xen-api, scripts/init.d-xapi). So we start
 * between them, and stop between them. `rc` stops only what has a file in /var/lock/subsys.
 */
const START = 'S11rbdsr';
const STOP = 'K78rbdsr';

export const INIT_LINKS: readonly string[] = [
  ...[0, 1, 6].map((level) => `/etc/rc.d/rc${level}.d/${STOP}`),
  ...[2, 3, 4, 5].map((level) => `/etc/rc.d/rc${level}.d/${START}`),
];

export const INIT_SCRIPT = `#!/bin/sh
# rbdsr         Puts back what a host update replaced; unmaps RBD images before the network stops
#
# chkconfig: 2345 11 78
# description: RBDSR, the Ceph RBD storage driver

case "$1" in
  start)
    touch /var/lock/subsys/rbdsr
    [ ! -x ${LAUNCHER} ] || ${LAUNCHER} repair
    ;;
  stop)
    rm -f /var/lock/subsys/rbdsr
    [ ! -x ${LAUNCHER} ] || ${LAUNCHER} release-images
    ;;
  status)
    [ ! -x ${LAUNCHER} ] || ${LAUNCHER} check
    ;;
  *)
    echo "Usage: $0 {start|stop|status}"
    exit 2
    ;;
esac
`;
