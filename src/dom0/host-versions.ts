import type { ProfileId } from './host-profile.ts';

/**
 * What the installer has to do differently on one host version. Nothing in src/host asks which version it is: it asks
 * this row.
 */
export interface HostVersion {
  /** Where the facts of the row come from. */
  readonly source: string;
  /**
   * The SR types that xapi accepts when no configuration file names any (`sm-plugins` of xapi.conf). Undefined where
   * xapi has no such list and takes every driver it finds.
   */
  readonly defaultSmPlugins?: readonly string[];
  /** What loads kernel modules at boot. */
  readonly modules: 'modules-load.d' | 'rc.modules';
  /** What starts services. */
  readonly services: 'systemd' | 'sysv';
  /** Whether udev watches block devices and looks into them again whenever they were open for writing. */
  readonly udevWatches: boolean;
}

/** xapi's own default, the same from 7.0 to today (xen-api, ocaml/xapi/xapi_globs.ml, `sm_plugins`). */
const XAPI_DEFAULT = 'ext nfs iscsi lvmoiscsi dummy file hba rawhba udev iso lvm lvmohba lvmofcoe shm smb'.split(' ');

const CENTOS_7: Omit<HostVersion, 'source'> = {
  defaultSmPlugins: XAPI_DEFAULT,
  modules: 'modules-load.d',
  services: 'systemd',
  udevWatches: true,
};

const TABLE: Readonly<Record<ProfileId, HostVersion>> = {
  '6.5': {
    source:
      'CentOS 5 userland: rc.sysinit runs /etc/rc.modules, udev 095 has no watch; xen-api of 2014: no sm-plugins; scripts/init.d-xapi: chkconfig 2345 23 77',
    modules: 'rc.modules',
    services: 'sysv',
    udevWatches: false,
  },
  '7.0': {
    ...CENTOS_7,
    source: 'CentOS 7 userland; xen-api dundee-lcm: sm-plugins in xapi.conf (August 2015), scripts/xapi.service',
  },
  '7.3': {
    ...CENTOS_7,
    source: 'CentOS 7 userland; sm 38edcbb of June 2018 puts ^rbd[0-9]* into the multipath blacklist of 7.6',
  },
  '8.2': {
    ...CENTOS_7,
    source: 'xen-api 1.249-lcm; XCP-ng 8.2: /etc/multipath/conf.d/custom.conf is config(noreplace)',
  },
  '8.3a': { ...CENTOS_7, source: 'xen-api 23.x to 25.x; sm 3.2.x: LVMoISCSISR is a link to LVHDoISCSISR.py' },
  '8.3b': { ...CENTOS_7, source: 'xen-api 25.x; sm 3.2.12-17: LVMoISCSISR is a link to LVMoISCSISR.py' },
  master: {
    ...CENTOS_7,
    source: 'sm 4.1: drivers in /usr/libexec/sm/drivers, entries in /opt/xensource/sm are links to them, or programs',
  },
};

export function hostVersion(id: ProfileId): HostVersion {
  return TABLE[id];
}
