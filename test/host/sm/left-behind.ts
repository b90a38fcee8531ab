import { stringOf } from '../../../lab/xapi-double/database.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { DELETED_TAG, HIDDEN_TAG, isUnfinished } from '../../../src/lvhd/names.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import type { LvReport } from '../../../src/lvm/report.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import type { PoolWithDisk } from './pool-with-disk.ts';

/** All that there is of the disk that a killed call was about: on the disk, in LVM and in xapi. */
export interface Remains {
  /** Its volume, and what is in it. */
  readonly volume: 'none' | 'blank, of no disk' | 'of no disk' | 'whole' | 'hidden' | 'hidden, marked';
  /** Whether the metadata volume has a record of it. */
  readonly metadata: boolean;
  readonly xapi: boolean;
  /** Whether the SR's totals in xapi are those of LVM. */
  readonly totals: 'right' | 'old';
}

/** What each `leaves` of a step looks like (src/base/steps.ts), by its id: nothing more and nothing less. */
export const leftBehind: Readonly<Record<string, Remains>> = {
  'new-volume-blank': { volume: 'blank, of no disk', metadata: false, xapi: false, totals: 'old' },
  'new-volume-vhd': { volume: 'of no disk', metadata: false, xapi: false, totals: 'old' },
  'volume-only': { volume: 'whole', metadata: false, xapi: false, totals: 'old' },
  'volume-and-metadata': { volume: 'whole', metadata: true, xapi: false, totals: 'old' },
  disk: { volume: 'whole', metadata: true, xapi: true, totals: 'old' },
  hidden: { volume: 'hidden', metadata: true, xapi: true, totals: 'right' },
  'hidden-marked': { volume: 'hidden, marked', metadata: true, xapi: true, totals: 'right' },
  'hidden-without-metadata': { volume: 'hidden, marked', metadata: false, xapi: true, totals: 'right' },
  'hidden-volume-only': { volume: 'hidden, marked', metadata: false, xapi: false, totals: 'right' },
  totals: { volume: 'none', metadata: false, xapi: false, totals: 'old' },
};

/** Of the one disk beside the kept one, of this many bytes: what a volume held before has another size. */
export async function remains(made: PoolWithDisk, bytes: number): Promise<Remains> {
  const { sr, double, srRef } = made.pool;
  const own = stringOf(made.kept, 'uuid');
  const report = await sr.report();
  const journals = listJournals(report).map(({ lvName }) => lvName);
  const lvs = report.lvs.filter(({ name }) => name !== 'MGT' && !name.includes(own) && !journals.includes(name));
  const [lv] = lvs;
  if (lvs.length > 1) throw new Error(`more than one volume: ${lvs.map(({ name }) => name).join(', ')}`);
  const { vdis } = await new MetadataVolume(await sr.openLv('MGT', 'read')).read();
  const used = Number(double.db.get('SR', srRef).fields['physical_utilisation']);
  return {
    volume: lv === undefined ? 'none' : await volumeOf(made, lv, bytes),
    metadata: vdis.some(({ uuid }) => uuid !== own),
    xapi: made.others().length > 0,
    totals: used === report.sizeBytes - report.freeBytes ? 'right' : 'old',
  };
}

async function volumeOf(made: PoolWithDisk, lv: LvReport, bytes: number): Promise<Remains['volume']> {
  const isRaw = lv.name.startsWith('LV-');
  const vhd = isRaw ? { sound: false, hidden: false } : await vhdOf(made, lv, bytes);
  if (isUnfinished(lv.name)) return vhd.sound ? 'of no disk' : 'blank, of no disk';
  if (!isRaw && !vhd.sound) throw new Error(`${lv.name} holds no sound VHD of ${bytes} bytes`);
  if (!vhd.hidden && !lv.tags.includes(HIDDEN_TAG)) return 'whole';
  return lv.tags.includes(DELETED_TAG) ? 'hidden, marked' : 'hidden';
}

async function vhdOf(made: PoolWithDisk, { name }: LvReport, bytes: number) {
  const io = await made.pool.sr.openLv(name, 'read');
  try {
    const { virtualSizeBytes, hidden } = await openVhd(io, 'read');
    return { sound: virtualSizeBytes === bytes && (await checkVhd(io)).length === 0, hidden };
  } catch {
    return { sound: false, hidden: false };
  }
}
