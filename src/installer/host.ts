import { existsSync } from 'node:fs';
import type { Deadline } from '../base/deadline.ts';
import type { RbdsrError } from '../base/error.ts';
import type { HostProfile } from '../dom0/host-profile.ts';
import type { Inventory } from '../dom0/inventory.ts';
import { thisHost } from '../dom0/this-host.ts';
import { runProgram, type RunOutcome } from '../system/run.ts';
import { type HostVersion, hostVersion } from '../dom0/host-versions.ts';
import { Journal, type ChangeEntry } from './changing/journal.ts';
import type { PathState } from './changing/path-state.ts';

/** Where the product lives, as the host sees it. */
export const PRODUCT = '/opt/rbdsr';
export const LAUNCHER = `${PRODUCT}/launcher.sh`;
/** What enable has to remember, which is not part of the product and does not go with it. */
export const STATE_DIR = '/var/lib/rbdsr';
export const SAVED_DIR = `${STATE_DIR}/saved`;
/** Where 0.1.0 had that: it looks for its record there. */
export const FORMER_STATE_DIR = `${PRODUCT}/state`;
export const SM_DIR = '/opt/xensource/sm';
/** What xapi and the stock storage manager find as the driver of SR type lvmoiscsi. */
export const DIVERTED_ENTRY = `${SM_DIR}/LVMoISCSISR`;
/**
 * What that leads to: a copy of the product's dispatcher, beside the stock driver, so that iSCSI works without anything
 * in /opt/rbdsr.
 */
export const DIVERT = `${SM_DIR}/rbdsr-divert.py`;
/** Where the stock entry is kept: not in the SM folder itself, where xapi takes whatever ends in "SR" for a driver. */
export const STOCK_DIR = `${SM_DIR}/rbdsr-stock`;
/** Where 0.1.0 kept it. */
export const OLD_STOCK_DIR = `${PRODUCT}/stock`;

/** The host that enable, disable and check work on: the real one, or a tree of files below `root`. */
export interface Host {
  /** Prefix of every path; empty on a real host. */
  readonly root: string;
  readonly inventory: Inventory;
  readonly profile: HostProfile;
  /** Lines of the settings that are not understood: nothing of the installer depends on one. */
  readonly oddSettings: readonly RbdsrError[];
  readonly version: HostVersion;
  /** The version of RBDSR that is running. */
  readonly product: string;
  readonly journal: Journal;
  /** What this process has written so far, in order: what a failing enable takes back. */
  readonly writes: Write[];
  /** Where a path of the host is for this process. */
  at(path: string): string;
  has(path: string): boolean;
  /** Runs a program of the host; undefined where the host has no such program. */
  run(
    program: string,
    args: readonly string[],
    deadline: Deadline,
    env?: Readonly<Record<string, string>>,
  ): Promise<RunOutcome | undefined>;
}

export interface Write {
  readonly path: string;
  readonly was: PathState;
  readonly entry: ChangeEntry;
  /** The entry that this one replaced. */
  readonly entryBefore?: ChangeEntry;
}

/**
 * 'config-missing' where this is no dom0, 'kernel-unsupported' where the version is not known. `versionLine` is the
 * product's.
 */
export function openHost(root: string, versionLine: string): Host {
  const oddSettings: RbdsrError[] = [];
  const { inventory, profile } = thisHost(root, (problem) => oddSettings.push(problem));
  const at = (path: string): string => root + path;
  return {
    root,
    inventory,
    profile,
    oddSettings,
    version: hostVersion(profile.id),
    product: plainVersion(versionLine),
    writes: [],
    journal: new Journal(at(STATE_DIR), at(FORMER_STATE_DIR)),
    at,
    has: (path) => existsSync(at(path)),
    run: async (program, args, deadline, env = {}) =>
      existsSync(at(program)) ? runProgram(at(program), args, { deadline, env }) : undefined,
  };
}

/** `Version : 0.1.0` as `0.1.0`. */
export function plainVersion(line: string): string {
  return line.replace(/^Version\s*:\s*/, '').trim();
}
