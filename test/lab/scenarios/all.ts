import { brokenSrs } from './broken-srs.ts';
import { crashes } from './crashes.ts';
import { deadCluster } from './dead-cluster.ts';
import { disks } from './disks.ts';
import { foreignClients } from './foreign-clients.ts';
import { guests } from './guests.ts';
import { highAvailability } from './ha.ts';
import { hostBasics } from './host-basics.ts';
import { mapping } from './mapping.ts';
import { monitors } from './monitors.ts';
import { quietAttach } from './quiet-attach.ts';
import { shutdown } from './shutdown.ts';
import { srRefusals } from './sr-refusals.ts';
import { waysIn } from './ways-in.ts';
import { wizard } from './wizard.ts';
import type { Need } from '../../../lab/hosts/needs.ts';
import type { Lab } from './scenario.ts';

/** What one file of this folder declares. It makes its own images and users and leaves nothing; it runs alone, and in any order with others. */
export interface Scenario {
  readonly title: string;
  readonly declare: (lab: Lab) => void;
  /** What a usual host has not. */
  readonly needs?: readonly Need[];
}

export const SCENARIOS: readonly Scenario[] = [
  { title: 'what every other scenario stands on', declare: hostBasics },
  { title: 'what sr_create refuses', declare: srRefusals },
  { title: 'the wizard', declare: wizard },
  { title: 'other ways in', declare: waysIn },
  { title: 'mapping an image', declare: mapping },
  { title: 'several monitors', declare: monitors },
  { title: 'an attach without a connection', declare: quietAttach },
  { title: 'a cluster that does not answer', declare: deadCluster },
  { title: 'the life of a disk', declare: disks },
  { title: 'disks that a host attaches without xapi', declare: highAvailability },
  { title: 'an image that others have open', declare: foreignClients },
  { title: 'broken and contested SRs', declare: brokenSrs },
  { title: 'a driver that is killed', declare: crashes },
  { title: 'a host that shuts down', declare: shutdown },
  { title: 'guests', declare: guests, needs: ['a Xen host', 'a guest', 'debugfs'] },
];
