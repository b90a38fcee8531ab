import { brokenSrs } from './scenarios/broken-srs.ts';
import { crashes } from './scenarios/crashes.ts';
import { deadCluster } from './scenarios/dead-cluster.ts';
import { disks } from './scenarios/disks.ts';
import { failedFlush } from './scenarios/failed-flush.ts';
import { faults } from './scenarios/faults.ts';
import { fencedDisks } from './scenarios/fencing/fenced-disks.ts';
import { fencing } from './scenarios/fencing/fencing.ts';
import { foreignClients } from './scenarios/foreign-clients.ts';
import { guests } from './scenarios/guests.ts';
import { highAvailability } from './scenarios/ha.ts';
import { hostBasics } from './scenarios/host-basics.ts';
import { mapping } from './scenarios/mapping.ts';
import { monitors } from './scenarios/monitors.ts';
import { plantedFaults } from './scenarios/planted-faults.ts';
import { quietAttach } from './scenarios/quiet-attach.ts';
import { shutdown } from './scenarios/shutdown.ts';
import { silentHeader } from './scenarios/silent-header.ts';
import { snapshots } from './scenarios/snapshots.ts';
import { srRefusals } from './scenarios/sr-refusals.ts';
import { staleTable } from './scenarios/stale-table.ts';
import { waysIn } from './scenarios/ways-in.ts';
import { afterSsh } from './scenarios/wizard/after-ssh.ts';
import { wizardByKey } from './scenarios/wizard/by-key.ts';
import { wizard } from './scenarios/wizard.ts';
import type { Need } from '../../lab/hosts/needs.ts';
import type { Lab } from './scenario.ts';

/**
 * What one file of this folder declares. It makes its own images and users and leaves nothing; it runs alone, and in
 * any order with others.
 */
export interface Scenario {
  readonly title: string;
  readonly declare: (lab: Lab) => void;
  /** About how long it takes, so that pools beside each other are done at the same time. */
  readonly seconds: number;
  /** What a usual host has not. */
  readonly needs?: readonly Need[];
  /** How many its cluster has at least; one unless it says so. */
  readonly osds?: number;
}

/** As many as one of them needs. */
export function osdsFor(scenarios: readonly Scenario[]): number {
  return Math.max(1, ...scenarios.map(({ osds = 1 }) => osds));
}

/** Those that the n-th of so many pools runs: the longest first, each to the pool that has least to do. */
export function shareOf(pool: number, pools: number): readonly Scenario[] {
  const shares = Array.from({ length: pools }, (): { seconds: number; scenarios: Scenario[] } => ({
    seconds: 0,
    scenarios: [],
  }));
  for (const scenario of SCENARIOS.filter(({ needs = [] }) => needs.length === 0).toSorted(
    (a, b) => b.seconds - a.seconds,
  )) {
    const idlest = shares.reduce((least, share) => (share.seconds < least.seconds ? share : least));
    idlest.scenarios.push(scenario);
    idlest.seconds += scenario.seconds;
  }
  return shares[pool - 1]?.scenarios ?? [];
}

export function thatNeedXen(): readonly Scenario[] {
  return SCENARIOS.filter(({ needs = [] }) => needs.length > 0);
}

const SCENARIOS: readonly Scenario[] = [
  { title: 'what every other scenario stands on', declare: hostBasics, seconds: 20 },
  { title: 'disks with planted faults', declare: plantedFaults, seconds: 95 },
  { title: 'what sr_create refuses', declare: srRefusals, seconds: 22 },
  { title: 'the wizard', declare: wizard, seconds: 125 },
  { title: 'a cephx user in the wizard', declare: wizardByKey, seconds: 60 },
  { title: 'no SSH once the SR is made', declare: afterSsh, seconds: 90 },
  { title: 'other ways in', declare: waysIn, seconds: 170 },
  { title: 'mapping an image', declare: mapping, seconds: 240 },
  { title: 'several monitors', declare: monitors, seconds: 75 },
  { title: 'what can go wrong', declare: faults, seconds: 140, osds: 3 },
  { title: 'fencing a host, and growing an SR', declare: fencing, seconds: 100, osds: 3 },
  { title: 'disks in use on a host that is fenced', declare: fencedDisks, seconds: 100, osds: 3 },
  { title: 'an attach without a connection', declare: quietAttach, seconds: 12 },
  { title: 'a cluster that does not answer', declare: deadCluster, seconds: 235 },
  { title: 'a header that nobody serves', declare: silentHeader, seconds: 155, osds: 2 },
  { title: 'a table that is out of date', declare: staleTable, seconds: 25 },
  { title: 'a last flush that fails', declare: failedFlush, seconds: 20 },
  { title: 'the life of a disk', declare: disks, seconds: 225 },
  { title: 'snapshots of a disk in use', declare: snapshots, seconds: 230 },
  { title: 'disks that a host attaches without xapi', declare: highAvailability, seconds: 40 },
  { title: 'an image that others have open', declare: foreignClients, seconds: 65 },
  { title: 'broken and contested SRs', declare: brokenSrs, seconds: 235 },
  { title: 'a driver that is killed', declare: crashes, seconds: 570 },
  { title: 'a host that shuts down', declare: shutdown, seconds: 115 },
  { title: 'guests', declare: guests, seconds: 300, needs: ['a Xen host', 'a guest', 'debugfs'] },
];
