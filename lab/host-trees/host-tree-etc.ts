import type { HostVersion, TreeEntry } from './host-versions.ts';

// What the installer reads or changes outside the SM directory, each with where its content is from; the texts are cut
// down to the lines that matter.

type Files = Readonly<Record<string, TreeEntry>>;

const file = (text: string): TreeEntry => ({ kind: 'file', text });
const program = (text: string): TreeEntry => ({ kind: 'program', text });
const folder: TreeEntry = { kind: 'folder' };

export function etcFiles(version: HostVersion, python: string): Files {
  return {
    ...inventory(version),
    ...xapi(version),
    ...lvm(version),
    ...multipath(version),
    ...startup(version),
    ...stockHooks(version),
    ...interpreters(version, python),
  };
}

const PRODUCTS: Readonly<Record<HostVersion, { readonly brand: string; readonly version: string }>> = {
  '6.5': { brand: 'XenServer', version: '6.5.0' },
  '7.x': { brand: 'XenServer', version: '7.6.0' },
  '8.2': { brand: 'XCP-ng', version: '8.2.1' },
  '8.3a': { brand: 'XCP-ng', version: '8.3.0' },
  '8.3b': { brand: 'XCP-ng', version: '8.3.0' },
  '4.x': { brand: 'XenServer', version: '9.0.0' },
};

/** The versions that products have; the file's form is what src/dom0/inventory.ts reads. */
function inventory(version: HostVersion): Files {
  const product = PRODUCTS[version];
  return {
    '/etc/xensource-inventory': file(
      [
        `PRODUCT_BRAND='${product.brand}'`,
        `PRODUCT_VERSION='${product.version}'`,
        "INSTALLATION_UUID='9c1e54b4-52c1-4f5c-8f0e-6a3a7b1c2d3e'",
        "CONTROL_DOMAIN_UUID='0d9f1c39-0a44-4a6a-a6a0-1b7d4a8f9e10'",
        '',
      ].join('\n'),
    ),
  };
}

const UPSTREAM_PLUGINS = 'ext nfs iscsi lvmoiscsi dummy file hba rawhba udev iso lvm lvmohba lvmofcoe shm smb';

/**
 * xen-api `xapi_globs.ml`, `sm_plugins`, and XCP-ng's xapi package: no whitelist in 6.5; XCP-ng 8.3 appends its own
 * types; /etc/xapi.conf.d outlives updates.
 */
function xapi(version: HostVersion): Files {
  const own = version === '8.3a' || version === '8.3b' ? ' cephfs glusterfs xfs zfs largeblock' : '';
  const plugins = version === '6.5' ? [] : [`sm-plugins=${UPSTREAM_PLUGINS}${own}`];
  const socket = version === '6.5' ? '/var/xapi' : '/var/lib/xcp';
  return {
    '/etc/xapi.conf': file(
      ['# The configuration of xapi', 'inventory = /etc/xensource-inventory', ...plugins, ''].join('\n'),
    ),
    ...(version === '6.5' ? {} : { '/etc/xapi.conf.d': folder }),
    // xen-api: where xapi listens since 7.0; 6.5's was /var/xapi/xapi.
    [socket]: folder,
  };
}

/**
 * sm's package scripts and `mk/sm.spec.in`: one lvm.conf in 6.5, a folder `master` since 7.0, lvmlocal.conf since 8.1.
 */
function lvm(version: HostVersion): Files {
  if (version === '6.5') {
    return { '/etc/lvm/lvm.conf': file(lvmConf('    types= [ "nvme", 64, "mtip32xx", 64 ]', 0)) };
  }
  const main = { '/etc/lvm/lvm.conf': file(lvmConf('', 1)), '/etc/lvm/master/lvm.conf': file(lvmConf('', 0)) };
  if (version === '7.x') return main;
  const local = file('# This is a local configuration file; package updates keep it.\n');
  return { ...main, '/etc/lvm/lvmlocal.conf': local, '/etc/lvm/master/lvmlocal.conf': local };
}

function lvmConf(types: string, metadataReadOnly: 0 | 1): string {
  const devices = ['devices {', '    dir = "/dev"', ...(types === '' ? [] : [types]), '}'];
  return [...devices, 'global {', `    metadata_read_only = ${metadataReadOnly}`, '}', ''].join('\n');
}

/**
 * device-mapper-multipath of XCP-ng: the main file is chosen by alternatives; XCP-ng 8.3 ignores rbd already and reads
 * conf.d, whose custom.conf is kept.
 */
function multipath(version: HostVersion): Files {
  const knowsRbd = version === '8.3a' || version === '8.3b';
  const names = knowsRbd ? '^(rbd[0-9]*|nbd.*|td.*)' : '^(ram|raw|loop|fd|md|sr|scd|st|nbd|td)';
  const main = file(
    ['defaults {', '    user_friendly_names no', '}', 'blacklist {', `    devnode "${names}"`, '}', ''].join('\n'),
  );
  if (version === '6.5') return { '/etc/multipath.conf': main };
  return {
    '/etc/multipath.xenserver/multipath.conf': main,
    '/etc/multipath.conf': { kind: 'link', to: '/etc/multipath.xenserver/multipath.conf' },
    ...(knowsRbd ? { '/etc/multipath/conf.d/custom.conf': file('# Custom entries of this host.\n') } : {}),
  };
}

/** 6.5 (CentOS 5) has init scripts and, where somebody made it, /etc/rc.modules; the others have systemd. */
function startup(version: HostVersion): Files {
  const common = {
    '/etc/udev/rules.d': folder,
    '/var/lib': folder,
    '/var/log': folder,
    '/etc/xensource': folder,
    '/var/lock/sm': folder,
  };
  if (version === '6.5') {
    const sysinit = program('#!/bin/bash\n[ -x /etc/rc.modules ] && /etc/rc.modules\n');
    return { ...common, '/etc/init.d': folder, '/etc/rc.d/rc3.d': folder, '/etc/rc.d/rc.sysinit': sysinit };
  }
  const unit = file('[Unit]\nDescription=XenAPI server (XAPI)\n[Service]\nExecStart=/opt/xensource/bin/xapi\n');
  return {
    ...common,
    '/etc/modules-load.d': folder,
    '/etc/systemd/system/multi-user.target.wants': folder,
    '/usr/lib/systemd/system/xapi.service': unit,
    '/run/systemd/system': folder,
  };
}

/** Hooks that the sm package owns. The bodies are stand-ins. */
function stockHooks(version: HostVersion): Files {
  const collector = version === '8.3a' || version === '8.3b' || version === '4.x';
  return {
    '/etc/xapi.d/plugins/on-slave': program('#!/bin/sh\nexit 0\n'),
    '/etc/xapi.d/plugins/tapdisk-pause': program('#!/bin/sh\nexit 0\n'),
    '/etc/xensource/master.d/02-vhdcleanup': program('#!/bin/sh\nexit 0\n'),
    '/opt/xensource/bin/xe-toolstack-restart': program('#!/bin/sh\nexit 0\n'),
    ...(collector ? { '/usr/lib/systemd/system/SMGC@.service': file('[Unit]\nDescription=SM GC for %i\n') } : {}),
  };
}

/**
 * Pythons of the hosts: 2.4 on 6.5, 2.7 to 8.2, 3.6 (2.7 still there) on 8.3, 3 alone after it. Each name leads to an
 * interpreter of this machine.
 */
const PYTHONS: Readonly<Record<HostVersion, readonly string[]>> = {
  '6.5': ['python', 'python2.4'],
  '7.x': ['python', 'python2', 'python2.7'],
  '8.2': ['python', 'python2', 'python2.7'],
  '8.3a': ['python', 'python2', 'python2.7', 'python3', 'python3.6'],
  '8.3b': ['python', 'python2', 'python2.7', 'python3', 'python3.6'],
  '4.x': ['python3'],
};

function interpreters(version: HostVersion, python: string): Files {
  return Object.fromEntries(
    PYTHONS[version].map((name): [string, TreeEntry] => [`/usr/bin/${name}`, { kind: 'outside-link', to: python }]),
  );
}
