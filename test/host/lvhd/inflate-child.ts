import { vdiUuid } from '../../../src/base/ids.ts';
import { deflate, inflate } from '../../../src/lvhd/ops/inflate.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';

/** Runs one operation on the SR of a device; the test kills it at a fault point. */
const [device = '', srId = '', vdi = '', operation = '', bytes = '0'] = process.argv.slice(2);
await using sr = await openSrOn(device, srId);
const report = await sr.report();
if (operation === 'inflate') await inflate(sr, report, vdiUuid(vdi), Number(bytes));
else if (operation === 'deflate') await deflate(sr, report, vdiUuid(vdi), Number(bytes));
else await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, report);
