import type { VdiUuid } from '../../src/base/ids.ts';

/** What a call for a disk that was cut short may have come to, until xapi's next scan says. */
export type Fate = 'stays' | 'goes' | 'grows' | 'asked';

/** How a disk is in use on a host; `cut`: a call for that was cut short there, and nobody knows. */
export type Use = 'RW' | 'RO' | 'cut';

export interface Disk {
  readonly name: string;
  readonly uuid: VdiUuid;
  /** Every byte that its guest would read. */
  content: Buffer;
  readonly isRaw: boolean;
  readonly isSnapshot: boolean;
  /** By the number of the host. */
  readonly uses: Map<number, Use>;
  fate: Fate;
  /** Bytes, of one that grows. */
  grownTo?: number;
}

/** A disk that a call which was cut short may have made, with what it holds then. */
export interface Unborn {
  readonly name: string;
  readonly content: Buffer;
  readonly isSnapshot: boolean;
}

/** An SR as it has to be: plain bytes, and nothing of how they are kept. */
export class Model {
  readonly disks = new Map<string, Disk>();
  readonly unborn: Unborn[] = [];
  /** Something was cut short, and no scan has been since. */
  isUnsettled = false;
  /** So that a disk may have no record in the metadata volume: only a scan has found it. */
  hasBeenCut = false;

  disk(name: string | undefined): Disk | undefined {
    return name === undefined ? undefined : this.disks.get(name);
  }

  isNew(name: string | undefined): name is string {
    return name !== undefined && !this.disks.has(name) && !this.unborn.some((one) => one.name === name);
  }

  all(): readonly Disk[] {
    return [...this.disks.values()];
  }

  /** Of which everybody knows what they hold. */
  known(): readonly Disk[] {
    return this.all().filter(({ fate, uses }) => fate === 'stays' && ![...uses.values()].includes('cut'));
  }

  add(disk: Omit<Disk, 'uses' | 'fate'>): Disk {
    const added: Disk = { ...disk, uses: new Map(), fate: 'stays' };
    this.disks.set(disk.name, added);
    return added;
  }

  /** What a resize of a disk does to what its guest reads. */
  grow(disk: Disk, bytes: number): void {
    disk.content = Buffer.concat([disk.content], bytes);
  }
}
