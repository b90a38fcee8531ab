import { randomUUID } from 'node:crypto';
import { RbdsrError } from '../../base/error.ts';
import { type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { type Mending, type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import { volumesByExtents } from '../../lvhd/extent-open.ts';
import { cloneValue } from '../../lvhd/journal/clone-journal.ts';
import type { JournalEntry } from '../../lvhd/journal/journal.ts';
import { createJournal, removeJournal } from '../../lvhd/journal/journals.ts';
import { sizeNote } from '../../lvhd/journal/size-note.ts';
import type { DrivenVdi } from '../../lvhd/lv-table.ts';
import type { VdiMetadata } from '../../lvhd/metadata/record.ts';
import { lvName } from '../../lvhd/names.ts';
import { withVhd } from '../../lvhd/open-vhd.ts';
import { asParent, renamedIn, setHidden, shrinkBase } from '../../lvhd/ops/new-base.ts';
import { type NewBase, planSnapshot, type SnapshotPlan } from '../../lvhd/ops/snapshot-plan.ts';
import { createVolume, type VdiPlan } from '../../lvhd/ops/vdi-create.ts';
import type { Volumes } from '../../lvhd/volumes.ts';
import { existingLv, lvNamed, type VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { setMapKey } from '../../xapi/map-keys.ts';
import { changeVdi, introduceVdi, type VdiRecord } from '../../xapi/vdi.ts';
import type { StringMap } from '../../xapi/values.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { orRebuild } from '../metadata-refusal.ts';
import { withMetadata } from '../read-sr.ts';
import type { SrNodes } from '../read-sr.ts';
import { activeHosts } from '../hosts/host-keys.ts';
import { undoWork } from '../work/work-until.ts';
import { noteSrTotals } from '../sr-totals.ts';
import { srRefOf } from '../work/subject.ts';
import type { SrWork } from '../work/work.ts';
import { type PausedDisk, pauseEverywhere, resumeEverywhere } from './paused.ts';
import { kindKeys } from './vdi-kind.ts';

/** What is made of a disk. */
export interface SnapshotOrder {
  /** Of the disk, as xapi has it: with the marks of the hosts that have it active. */
  readonly record: VdiRecord;
  readonly as: 'snapshot' | 'clone';
  /**
   * Whether there is to be a new disk, or only a new base below the one there is, which a collector wants so, too (sm
   * `LVHDVDI.SNAPSHOT_DOUBLE`, `SNAPSHOT_SINGLE`, `SNAPSHOT_INTERNAL`).
   */
  readonly mode: 'double' | 'single' | 'internal';
}

/**
 * Takes it, of a disk as `nodes` show it: its chain, read under the SR's lock, which the caller holds on the SR master.
 * After a failure nothing of it is left, or a base that the disk hangs on and that holds what it held. Answers the uuid
 * of the new disk; of the base, or of the disk itself, where none was asked for.
 */
export async function takeSnapshot(
  work: SrWork,
  sr: AttachedSr,
  { report, tree }: SrNodes,
  order: SnapshotOrder,
): Promise<VdiUuid> {
  const { record, as, mode } = order;
  const vdi = vdiUuid(record.uuid);
  const [source, ...ancestors] = tree.chain(vdi);
  if (source === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${vdi} in SR ${sr.uuid}` });
  const volumes = volumesByExtents(sr);
  const plan = planSnapshot(
    {
      source,
      ancestors,
      base: newUuid(),
      ...(mode === 'double' ? { copy: newUuid() } : {}),
      isSnapshot: as === 'snapshot',
      allocation: sr.allocation,
      ofSnapshot: record.isASnapshot,
      isWritten: isWritten(record.smConfig),
      ...(await contentOf(volumes, report, [source, ...ancestors])),
    },
    report,
  );
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.checkSpace(), report));
  const taking: Taking = { work, sr, volumes, order, plan, report };
  if (plan.base !== undefined) await layBase(taking, plan.base);
  if (plan.copy !== undefined) await makeCopy(taking, plan.copy);
  const delta = mode === 'internal' ? 0 : source.virtualSizeBytes;
  await noteSrTotals(work, async () => (await sr.lvm.report()) ?? report, { delta });
  return plan.copy?.uuid ?? plan.base?.uuid ?? vdi;
}

interface Taking {
  readonly work: SrWork;
  readonly sr: AttachedSr;
  readonly volumes: Volumes;
  readonly order: SnapshotOrder;
  readonly plan: SnapshotPlan;
  /** The volume group as it is by now. */
  report: VgReport;
  journal?: JournalEntry;
  /** From before the first host is told. */
  isPaused?: boolean;
}

const goesOn: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata undoes it',
};
const finished: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata finishes it',
};
const resumed: Mending = { by: ['sr_scan', 'again'], says: `${goesOn.says}, and has every host go on` };
const scanned: Mending = { by: ['sr_scan'], says: 'sr_scan tells xapi' };

/** From here to the end of the journal a crash leaves the disk with what it holds, under one name or two. */
export const noteSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-journal', noteDown, {
    does: 'journal LV `clone_<vdi>_1`, which says the uuid of the base',
    leaves: { id: 'clone-journal', says: 'the journal; nothing else has changed' },
    mendedBy: goesOn,
  }),
];

/** From here on guests wait, and no host begins to use the disk: one may have since its record was read. */
export const pauseSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-pause', pause, {
    does: '`paused` in VDI.sm_config; on every host that has the disk active it is paused, and its volume is let go',
    leaves: { id: 'clone-paused', says: 'the same, and guests that wait' },
    mendedBy: resumed,
  }),
];

export const baseSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-rename', renameSource, {
    does: '`lvrename` of the volume to the name of the base',
    leaves: { id: 'clone-renamed', says: 'the disk under the name of the base' },
    mendedBy: goesOn,
  }),
  step('vdi-snapshot.after-deflate', giveBack, {
    does: 'the base gives back what it does not use',
    leaves: { id: 'clone-deflated', says: 'the same, in a smaller volume' },
    mendedBy: goesOn,
    when: ({ plan }) => plan.base !== undefined && plan.base.lvSizeBytes < plan.source.lvSizeBytes,
  }),
];

/** After the volume of the new leaf, which is made as that of a new disk. */
export const leafSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-hidden', hideBase, {
    does: 'the base is hidden: in the footers of a VHD, by the tag `hidden` of a raw volume',
    leaves: { id: 'clone-hidden', says: 'a whole leaf on a hidden base, and the journal' },
    mendedBy: finished,
  }),
  step('vdi-snapshot.after-journal-removed', forget, {
    does: 'the journal is removed',
    leaves: { id: 'base-unrecorded', says: 'a leaf on a base of which xapi knows nothing' },
    mendedBy: scanned,
  }),
];

/** Not before the journal is gone, for its undoing would take away what guests write from here on. */
export const resumeSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-resume', resume, {
    does: 'the disk goes on, on every host that has it active, with its new chain; `paused` goes',
    leaves: { id: 'resumed', says: 'the same, with guests that go on' },
    mendedBy: scanned,
  }),
];

export const baseRecordSteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-read-only', makeReadOnly, {
    does: 'the volume of the base is made read-only',
    leaves: { id: 'base-read-only', says: 'the same' },
    mendedBy: scanned,
  }),
  step('vdi-snapshot.after-base-metadata', addBaseMetadata, {
    does: 'record of the base in the metadata volume',
    leaves: { id: 'base-in-metadata', says: 'the same, with its name' },
    mendedBy: scanned,
  }),
  step('vdi-snapshot.after-source-metadata', correctKind, {
    does: 'the record of a disk that was raw says that it is a VHD',
    leaves: { id: 'source-in-metadata', says: 'the same, which says so' },
    mendedBy: scanned,
    when: ({ plan }) => plan.source.kind === 'aio',
  }),
  step('vdi-snapshot.after-base-record', introduceBase, {
    does: 'record of the base in xapi',
    leaves: { id: 'base-recorded', says: 'a leaf of which xapi does not know what it hangs on' },
    mendedBy: scanned,
  }),
  step('vdi-snapshot.after-source-record', updateSource, {
    does: '`vhd-parent` and the size of the volume in the record of the disk',
    leaves: { id: 'base-known', says: "a disk on a base; the SR's totals are old" },
    mendedBy: scanned,
  }),
];

/** After the volume of the new disk, which is made as that of any other. */
export const copySteps: readonly Step<Taking>[] = [
  step('vdi-snapshot.after-copy-metadata', addCopyMetadata, {
    does: 'record of the new disk in the metadata volume',
    leaves: { id: 'copy-in-metadata', says: 'a new disk with its name' },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan introduces it' },
  }),
  step('vdi-snapshot.after-copy-record', introduceCopy, {
    does: 'record of the new disk in xapi',
    leaves: { id: 'copy-recorded', says: "the SR's totals are old" },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan' },
  }),
];

/** The disk becomes an empty child of what it held. */
async function layBase(taking: Taking, base: NewBase): Promise<void> {
  const { work, plan } = taking;
  const { source } = plan;
  work.waiting(`LVM to make ${source.lvName} the base ${base.lvName}`);
  try {
    await runSteps([...noteSteps, ...pauseSteps, ...baseSteps], taking);
    await createVolume(taking.sr, await leafPlan(taking, base), taking.report);
    await runSteps([...leafSteps, ...resumeSteps, ...baseRecordSteps], taking);
  } catch (error) {
    return undo(error, {
      'what was begun of the snapshot': () => takeBack(taking),
      'the pause of the disk': () => resumeAfter(taking),
    });
  }
}

/** As a command that finds the journal would; after the journal there is nothing that a scan does not mend. */
async function takeBack({ sr, journal, report }: Taking): Promise<void> {
  if (journal === undefined) return;
  const lvm = sr.lvm.forCleanUp();
  const now = await lvm.report();
  if (lvNamed(now, journal.lvName) === undefined) return;
  const { recoverClone } = await import('../../lvhd/ops/recover-clone.ts');
  await recoverClone(volumesByExtents({ lvm, openPv: sr.openPv }), now ?? report, journal);
  await removeJournal(lvm, journal);
}

async function makeCopy(taking: Taking, copy: NonNullable<SnapshotPlan['copy']>): Promise<void> {
  const { work, sr, plan, report } = taking;
  const made: VdiPlan = {
    ...(await childPlan(taking)),
    uuid: copy.uuid,
    lvName: lvName('vhd', copy.uuid),
    lvSizeBytes: copy.lvSizeBytes,
  };
  work.waiting(`LVM to make ${made.lvName}, a child of ${plan.parent.lvName}`);
  await createVolume(sr, made, report);
  try {
    await runSteps(copySteps, taking);
  } catch (error) {
    return undo(error, {
      'its metadata record': () => withMetadata(sr, (mgt) => mgt.delete(copy.uuid), report),
      [`the volume ${made.lvName}`]: () => sr.lvm.forCleanUp().removeLv(made.lvName),
    });
  }
}

async function noteDown(taking: Taking): Promise<void> {
  const { volumes, plan, report } = taking;
  const { source } = plan;
  const base = baseOf(plan);
  taking.journal = await createJournal(volumes.lvm, report, volumes.openLv, {
    type: 'clone',
    id: source.uuid,
    value: cloneValue({ base: base.uuid }),
    note: sizeNote(base.uuid, source.lvSizeBytes),
  });
}

function isWritten(smConfig: StringMap): boolean {
  return activeHosts(smConfig).some((host) => smConfig[`host_${host}`] !== 'RO');
}

async function pause(taking: Taking): Promise<void> {
  const { work, sr } = taking;
  taking.isPaused = true;
  const smConfig = await pauseEverywhere(work, sr, pausedDisk(taking));
  const { plan, order } = taking;
  if (!isWritten(smConfig) || isWritten(order.record.smConfig)) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${plan.source.uuid} has come into use while its snapshot was being prepared`,
    expected: 'a disk that no host writes to, as it was planned for',
    found: `the mark of ${activeHosts(smConfig).join(', ')}`,
    todo: 'Try again.',
  });
}

async function resume(taking: Taking): Promise<void> {
  const { work, sr } = taking;
  await resumeEverywhere(work, sr, pausedDisk(taking));
  taking.isPaused = false;
}

/** Whoever fails resumes every host; but not before the journal is gone, for undoing takes the new leaf away. */
async function resumeAfter({ work, sr, isPaused, journal, ...taking }: Taking): Promise<void> {
  if (isPaused !== true) return;
  const undoing = undoWork(work);
  const now = await sr.lvm.forCleanUp().report();
  if (journal !== undefined && lvNamed(now, journal.lvName) !== undefined) {
    throw new RbdsrError('journal', { what: `it is not resumed while its journal is there`, found: journal.lvName });
  }
  await resumeEverywhere(undoing, sr, pausedDisk(taking));
}

function pausedDisk({ order, plan }: Pick<Taking, 'order' | 'plan'>): PausedDisk {
  return { vdi: plan.source.uuid, ref: order.record.ref };
}

async function renameSource(taking: Taking): Promise<void> {
  const { volumes, plan, report } = taking;
  const base = baseOf(plan);
  await volumes.lvm.renameLv(plan.source.lvName, base.lvName);
  taking.report = renamedIn(report, plan.source.lvName, base.lvName);
}

/** As much as it holds by now: while it was in use it may have come to hold more than when this was planned. */
async function giveBack(taking: Taking): Promise<void> {
  const { volumes, plan, report } = taking;
  const base = baseOf(plan);
  taking.report = await shrinkBase(volumes, report, base.uuid);
}

async function hideBase({ volumes, plan, report }: Taking): Promise<void> {
  await setHidden(volumes, report, { ...baseOf(plan), kind: plan.source.kind }, true);
}

async function forget({ volumes, journal }: Taking): Promise<void> {
  if (journal !== undefined) await removeJournal(volumes.lvm, journal);
}

async function makeReadOnly({ volumes, plan, report }: Taking): Promise<void> {
  const { lvName: name } = baseOf(plan);
  if (lvNamed(report, name)?.readOnly === false) await volumes.lvm.setPermission(name, 'r');
}

async function addBaseMetadata({ sr, plan, order, report }: Taking): Promise<void> {
  const { uuid } = baseOf(plan);
  const metadata: VdiMetadata = {
    ...emptyMetadata(uuid, order.record),
    nameLabel: BASE_NAME,
    nameDescription: '',
    vdiType: plan.source.kind,
    readOnly: true,
    managed: false,
  };
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.add(metadata), report));
}

async function correctKind({ sr, plan, report }: Taking): Promise<void> {
  const { uuid } = plan.source;
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.updateVdi(uuid, { vdiType: 'vhd' }), report));
}

async function introduceBase({ work, plan, order, report }: Taking): Promise<void> {
  const { source } = plan;
  const base = baseOf(plan);
  work.waiting('xapi to record the base');
  await introduceVdi(await work.xapi(), work.profile.dbIntroduceArity, {
    uuid: base.uuid,
    sr: srRefOf(work),
    nameLabel: BASE_NAME,
    type: order.record.type,
    readOnly: true,
    managed: false,
    smConfig: { ...kindKeys(source.kind, work.profile), ...parentKey(source.parentUuid) },
    virtualSize: source.virtualSizeBytes,
    physicalUtilisation: lvNamed(report, base.lvName)?.sizeBytes ?? base.lvSizeBytes,
  });
}

async function updateSource({ work, plan, order }: Taking): Promise<void> {
  const base = baseOf(plan);
  const { ref } = order.record;
  const xapi = await work.xapi();
  work.waiting('xapi to record what the disk hangs on');
  const keys = { ...kindKeys('vhd', work.profile), ...parentKey(base.uuid) };
  for (const [key, value] of Object.entries(keys)) await setMapKey(xapi, 'VDI.sm_config', ref, key, value);
  await changeVdi(xapi, ref, { physicalUtilisation: base.leafLvSizeBytes });
}

async function addCopyMetadata({ sr, plan, order, report }: Taking): Promise<void> {
  const { record, as } = order;
  const metadata: VdiMetadata = {
    ...emptyMetadata(copyOf(plan).uuid, record),
    nameLabel: record.nameLabel,
    nameDescription: record.nameDescription,
    isASnapshot: as === 'snapshot',
    snapshotOf: as === 'snapshot' ? record.uuid : '',
    vdiType: 'vhd',
    readOnly: record.readOnly,
    managed: true,
  };
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.add(metadata), report));
}

async function introduceCopy({ work, plan, order }: Taking): Promise<void> {
  const { record, as } = order;
  const copy = copyOf(plan);
  work.waiting('xapi to record the new disk');
  await introduceVdi(await work.xapi(), work.profile.dbIntroduceArity, {
    uuid: copy.uuid,
    sr: srRefOf(work),
    nameLabel: record.nameLabel,
    nameDescription: record.nameDescription,
    type: record.type,
    readOnly: record.readOnly,
    smConfig: { ...inherited(record.smConfig), ...kindKeys('vhd', work.profile), ...parentKey(plan.parent.uuid) },
    virtualSize: plan.source.virtualSizeBytes,
    physicalUtilisation: copy.lvSizeBytes,
    ...(as === 'snapshot' ? { isASnapshot: true, snapshotOf: record.ref } : {}),
  });
}

/** What hosts and users have written of the source alone (sm `LVHDVDI._snapshot`). */
function inherited(smConfig: StringMap): StringMap {
  const own =
    /^(type|vdi_type|vhd-parent|vhd-blocks|image-format|paused|relinking|activating|host_.*|read-caching-.*)$/;
  return Object.fromEntries(Object.entries(smConfig).filter(([key]) => !own.test(key)));
}

function parentKey(parent: VdiUuid | undefined): StringMap {
  return parent === undefined ? {} : { 'vhd-parent': parent };
}

/** As stock names it, by which tools know it. */
const BASE_NAME = 'base copy';

function emptyMetadata(
  uuid: VdiUuid,
  { type }: VdiRecord,
): Omit<VdiMetadata, 'nameLabel' | 'nameDescription' | 'vdiType' | 'readOnly' | 'managed'> {
  return { uuid, isASnapshot: false, snapshotOf: '', snapshotTime: '', type, metadataOfPool: '' };
}

async function leafPlan(taking: Taking, { leafLvSizeBytes }: NewBase): Promise<VdiPlan> {
  const { uuid } = taking.plan.source;
  return { ...(await childPlan(taking)), uuid, lvName: lvName('vhd', uuid), lvSizeBytes: leafLvSizeBytes };
}

/** What both children are alike in. */
async function childPlan({
  volumes,
  report,
  plan,
}: Taking): Promise<Pick<VdiPlan, 'kind' | 'virtualSizeBytes' | 'parent'>> {
  const parent = await asParent(volumes, report, plan.parent);
  return { kind: 'vhd', virtualSizeBytes: plan.source.virtualSizeBytes, parent };
}

/** Read from the disk, the ancestors only as far as it matters. */
async function contentOf(
  volumes: Volumes,
  report: VgReport,
  chain: readonly DrivenVdi[],
): Promise<{ readonly physicalSizeBytes: number; readonly empty: readonly boolean[] }> {
  const empty: boolean[] = [];
  let physicalSizeBytes: number | undefined;
  for (const { kind, lvName: name, lvSizeBytes } of chain) {
    if (kind === 'aio') return { physicalSizeBytes: physicalSizeBytes ?? lvSizeBytes, empty: [...empty, false] };
    await withVhd(volumes.openLv, existingLv(report, name), 'read', (image) => {
      physicalSizeBytes ??= image.physicalSizeBytes;
      empty.push(image.allocatedBlocks === 0);
    });
    if (empty.at(-1) === false) break;
  }
  return { physicalSizeBytes: physicalSizeBytes ?? 0, empty };
}

function baseOf({ base, source }: SnapshotPlan): NewBase {
  if (base !== undefined) return base;
  throw new RbdsrError('internal', { what: `no base is made of VDI ${source.uuid}` });
}

function copyOf({ copy, source }: SnapshotPlan): NonNullable<SnapshotPlan['copy']> {
  if (copy !== undefined) return copy;
  throw new RbdsrError('internal', { what: `no new disk is made of VDI ${source.uuid}` });
}

function newUuid(): VdiUuid {
  return vdiUuid(randomUUID());
}
