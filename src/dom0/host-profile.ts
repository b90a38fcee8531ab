import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RbdsrError } from '../base/error.ts';
import { MAX_VIRTUAL_SIZES } from './virtual-sizes.ts';
import type { HostSettings } from './host-settings.ts';
import type { Inventory } from './inventory.ts';

/**
 * Everything that differs between host versions for the driver, one row each, so that nothing else asks which version
 * it is; for the installer: host-versions.ts. Sources: the sm and xapi trees of each release (xapi-project/sm,
 * xcp-ng/sm, xapi-project/xen-api).
 */
export interface HostProfile {
  readonly id: ProfileId;
  /** For people. */
  readonly title: string;
  /** What sr_get_driver_info announces, in this order. */
  readonly capabilities: readonly string[];
  /** Members of the vdi_attach answer. */
  readonly attachResult: {
    /** `params`, the path of the block device. */
    readonly params: boolean;
    /** `params_nbd`: absent, `nbd:unix:<socket>`, or the same with `:exportname=<vdi>`. */
    readonly paramsNbd: 'absent' | 'plain' | 'exportname';
    /** `o_direct` and `o_direct_reason`. */
    readonly oDirect: boolean;
  };
  /** How many arguments VDI.db_introduce takes; the 19th is cbt_enabled. */
  readonly dbIntroduceArity: 18 | 19;
  /** The largest virtual disk of this version's storage manager, bytes: one that is larger it could not open. */
  readonly maxVirtualSizeBytes: number;
  /** The fault number of an error that nothing foresaw; xapi of 6.5 does not know 1200. */
  readonly unforeseenErrorNumber: 202 | 1200;
  readonly lvm: {
    /** The folder of the configuration that may write metadata, where there is a separate one. */
    readonly masterSystemDir?: string;
    /** What serialises LVM commands on the host. */
    readonly serialisation: 'none' | 'file-lock' | 'fairlock';
  };
  readonly datapath: {
    readonly kind: 'tapdisk' | 'nbd';
    /** Whether blktap2 has kernel device nodes (`/dev/xen/blktap-2`, `/dev/sm/backend`). */
    readonly kernelNodes: boolean;
    /** Whether `/run/blktap-control/nbd/<sr>/<vdi>` links exist. */
    readonly nbdLinks: boolean;
    /** `tap-ctl close -t`, seconds. */
    readonly closeTimeoutSeconds?: number;
  };
  /** VDI.sm_config carries `activating` between tag and tapdisk start, and `relinking` holds an activate back. */
  readonly activatingKey: boolean;
  /** VDI.sm_config carries `image-format`. */
  readonly imageFormatKey: boolean;
  readonly paths: HostPaths;
}

export type ProfileId = '6.5' | '7.0' | '7.3' | '8.2' | '8.3a' | '8.3b' | 'master';

/** Absolute paths; a test puts them below a folder of its own. */
export interface HostPaths {
  /** Prefix of everything below, empty on a real host. */
  readonly root: string;
  readonly inventory: string;
  readonly settings: string;
  readonly xapiSocket: string;
  readonly smDir: string;
  /** Stock locks: `<lockDir>/<namespace>/<name>`. */
  readonly lockDir: string;
  /** Stock run-time files, reference counts and IPC flags among them. */
  readonly smRunDir: string;
  /** Our own run-time files. */
  readonly runDir: string;
  readonly blktapControlDir: string;
  /** `<devSmDir>/phy` and `<devSmDir>/backend`. */
  readonly devSmDir: string;
  /** The storage manager's log. */
  readonly smLog: string;
  /** Turns that log off while it exists. */
  readonly noLogFlag: string;
}

/** Announced where a snapshot that is killed at any step does no harm (test/host/snapshots/every-profile.test.ts). */
const SNAPSHOTS: readonly string[] = ['VDI_CLONE', 'VDI_SNAPSHOT'];

const CAPABILITIES: readonly string[] = [
  'SR_PROBE',
  'SR_UPDATE',
  'SR_METADATA',
  'VDI_CREATE',
  'VDI_DELETE',
  'VDI_ATTACH',
  'VDI_DETACH',
  'VDI_GENERATE_CONFIG',
  ...SNAPSHOTS,
  'VDI_RESIZE',
  'ATOMIC_PAUSE',
  'VDI_UPDATE',
  'VDI_ACTIVATE',
  'VDI_DEACTIVATE',
];

type Row = Omit<HostProfile, 'id' | 'paths'> & { readonly xapiSocket: string };

const V83: Row = {
  title: 'XCP-ng 8.3 and XenServer 8',
  capabilities: CAPABILITIES,
  attachResult: { params: true, paramsNbd: 'exportname', oDirect: true },
  dbIntroduceArity: 19,
  maxVirtualSizeBytes: MAX_VIRTUAL_SIZES['8'],
  unforeseenErrorNumber: 1200,
  lvm: { masterSystemDir: '/etc/lvm/master', serialisation: 'fairlock' },
  datapath: { kind: 'tapdisk', kernelNodes: true, nbdLinks: true, closeTimeoutSeconds: 120 },
  activatingKey: true,
  imageFormatKey: false,
  xapiSocket: '/var/lib/xcp/xapi',
};

const V73: Row = {
  ...V83,
  title: 'XenServer 7.3 to 8.1 and XCP-ng 7.4 to 8.1',
  attachResult: { params: true, paramsNbd: 'absent', oDirect: true },
  lvm: { masterSystemDir: '/etc/lvm/master', serialisation: 'none' },
  datapath: { kind: 'tapdisk', kernelNodes: true, nbdLinks: false },
  activatingKey: false,
};

const TABLE: Readonly<Record<ProfileId, Row>> = {
  '6.5': {
    ...V73,
    title: 'XenServer 6.5',
    // No test walks them with this version's LVM, which keeps no configuration of its own for the master.
    capabilities: CAPABILITIES.filter((name) => !SNAPSHOTS.includes(name)),
    attachResult: { params: true, paramsNbd: 'absent', oDirect: false },
    dbIntroduceArity: 18,
    maxVirtualSizeBytes: MAX_VIRTUAL_SIZES['6.5'],
    unforeseenErrorNumber: 202,
    lvm: { serialisation: 'none' },
    xapiSocket: '/var/xapi/xapi',
  },
  '7.0': {
    ...V73,
    title: 'XenServer 7.0 to 7.2',
    dbIntroduceArity: 18,
    maxVirtualSizeBytes: MAX_VIRTUAL_SIZES['7'],
  },
  '7.3': V73,
  '8.2': {
    ...V83,
    title: 'Citrix Hypervisor and XCP-ng 8.2',
    attachResult: { params: true, paramsNbd: 'plain', oDirect: true },
    lvm: { masterSystemDir: '/etc/lvm/master', serialisation: 'file-lock' },
    datapath: { kind: 'tapdisk', kernelNodes: true, nbdLinks: true, closeTimeoutSeconds: 30 },
    activatingKey: false,
  },
  '8.3a': V83,
  '8.3b': { ...V83, title: 'XCP-ng 8.3 since sm 3.2.12-17', imageFormatKey: true },
  master: {
    ...V83,
    title: 'XenServer 9',
    attachResult: { params: false, paramsNbd: 'exportname', oDirect: true },
    datapath: { kind: 'tapdisk', kernelNodes: false, nbdLinks: true, closeTimeoutSeconds: 120 },
  },
};

/** The row `id` names, with the settings' overrides, its paths below `root`. */
export function hostProfile(id: ProfileId, settings: HostSettings, root = ''): HostProfile {
  const { xapiSocket, ...row } = TABLE[id];
  const datapath = settings.datapath === undefined ? row.datapath : { ...row.datapath, kind: settings.datapath };
  return { id, ...row, datapath, paths: hostPaths(root, xapiSocket) };
}

/** Which row this host is: the settings' choice, else what the inventory and the installed storage manager say. */
export function detectProfile(settings: HostSettings, inventory: Inventory, root = ''): HostProfile {
  return hostProfile(
    settings.profile === undefined ? detect(inventory, root) : known(settings.profile),
    settings,
    root,
  );
}

function detect(inventory: Inventory, root: string): ProfileId {
  if (existsSync(join(root, '/usr/libexec/sm/drivers'))) return 'master';
  const [major = 0, minor = 0] = inventory.productVersion;
  if (major > 8) return 'master';
  if (major === 8 && minor >= 3) return existsSync(join(root, '/opt/xensource/sm/LVMSR.py')) ? '8.3b' : '8.3a';
  if (major === 8 && minor === 2) return '8.2';
  if (major === 8 || (major === 7 && minor >= 3)) return '7.3';
  if (major === 7) return '7.0';
  if (major === 6 && minor >= 5) return '6.5';
  throw new RbdsrError('kernel-unsupported', {
    what: 'this host version is not supported',
    expected: 'XenServer 6.5 or later, or XCP-ng',
    found: `PRODUCT_VERSION ${inventory.productVersion.join('.')}`,
    todo: 'To try it as one of the known versions, put "profile = 8.3b" (or another) into /etc/rbdsr/rbdsr.conf.',
  });
}

function known(name: string): ProfileId {
  if (Object.hasOwn(TABLE, name)) return name as ProfileId;
  throw new RbdsrError('config-invalid', {
    what: 'the profile in /etc/rbdsr/rbdsr.conf is not known',
    expected: `one of ${Object.keys(TABLE).join(', ')}`,
    found: JSON.stringify(name),
  });
}

/** The paths that no host version changes need no profile. */
export function hostPaths(root: string, xapiSocket: string): HostPaths {
  return {
    root,
    inventory: `${root}/etc/xensource-inventory`,
    settings: `${root}/etc/rbdsr/rbdsr.conf`,
    xapiSocket: root + xapiSocket,
    smDir: `${root}/opt/xensource/sm`,
    lockDir: `${root}/var/lock/sm`,
    smRunDir: `${root}/var/run/sm`,
    runDir: `${root}/var/run/rbdsr`,
    blktapControlDir: `${root}/run/blktap-control`,
    devSmDir: `${root}/dev/sm`,
    smLog: `${root}/var/log/SMlog`,
    noLogFlag: `${root}/etc/xensource/no_sm_log`,
  };
}

export const PROFILE_IDS = Object.keys(TABLE) as readonly ProfileId[];
