import { Forest } from '../../../src/gc/forest.ts';
import type { CollectorWorld } from '../../../src/gc/world.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import type { OpenSr } from '../../support/lvhd-vectors.ts';

/** An SR on a loop device, which no xapi knows; `active`: disks that a host has in use. */
export function worldOf(sr: OpenSr, active: readonly string[] = []): CollectorWorld {
  const nothing = async (): Promise<void> => undefined;
  return {
    lvm: sr.lvm,
    // The device stays open: closing one of its volumes is no closing of it.
    openLv: async (...args) => ({ ...(await sr.openLv(...args)), close: nothing }),
    locked: async (work) => {
      const report = await sr.report();
      const nodes = await readVdiNodes(report, sr.pvIo);
      const activeOn = new Map(active.map((uuid) => [uuid, ['alpha']]));
      const { freeBytes } = report;
      return work({
        report,
        forest: new Forest({
          nodes,
          journals: listJournals(report),
          activeOn,
          kept: new Map(),
          notFolded: new Map(),
          freeBytes,
        }),
      });
    },
    mayWrite: async () => true,
    isMaster: async () => true,
    othersRest: nothing,
    refreshBelow: nothing,
    canHoldBack: true,
    holdBack: async () => true,
    goOn: nothing,
    letGo: nothing,
    releasedEverywhere: nothing,
    holdLeaf: async () => true,
    letLeafGo: nothing,
    releasedSoon: nothing,
    makeBase: nothing,
    recordFolded: nothing,
    recordParent: nothing,
    forgetMetadata: nothing,
    forgetRecord: nothing,
  };
}
