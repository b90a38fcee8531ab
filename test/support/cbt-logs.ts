import type { VdiUuid } from '../../src/base/ids.ts';
import { MiB } from '../../src/base/units.ts';
import { type CbtLog, writeChild, writeParent } from '../../src/lvhd/cbt-log.ts';
import { cbtLogName } from '../../src/lvhd/names.ts';
import type { OpenSr } from './lvhd-vectors.ts';

export interface LogContent extends Partial<CbtLog> {
  readonly sizeBytes: number;
  /** The first bytes of its bitmap. */
  readonly changed?: readonly number[];
}

/** A log of changed blocks as the stock driver makes it: consistent, unless said otherwise. */
export async function makeLog(sr: OpenSr, vdi: VdiUuid, content: LogContent): Promise<void> {
  const { parent, child, consistent = true, sizeBytes, changed = [] } = content;
  await sr.lvm.createLv(cbtLogName(vdi), 4 * MiB, { tag: 'cbtlog' });
  const io = await sr.openLv(cbtLogName(vdi), 'write');
  const header = Buffer.alloc(512);
  header.writeInt32LE(consistent ? 1 : 0, 32);
  header.writeBigUInt64LE(BigInt(sizeBytes), 40);
  header.set(changed, 48);
  await io.write(0, header);
  await writeParent(io, parent);
  await writeChild(io, child);
  await io.flush();
}

/** The first bytes of its bitmap. */
export async function changedBy(sr: OpenSr, vdi: VdiUuid, bytes: number): Promise<number[]> {
  return [...(await (await sr.openLv(cbtLogName(vdi), 'read')).read(48, bytes))];
}
