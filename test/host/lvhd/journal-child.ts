import { vdiUuid } from '../../../src/base/ids.ts';
import { createJournal } from '../../../src/lvhd/journal/journals.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';

/** Makes one journal on the SR of a device; the test kills it at a fault point. */
const [device = '', srId = '', type = '', id = '', value = ''] = process.argv.slice(2);
await using sr = await openSrOn(device, srId);
await createJournal(sr.lvm, await sr.report(), sr.openLv, { type, id: vdiUuid(id), value });
