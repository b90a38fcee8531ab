import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { RefCounts } from '../../../src/lvhd/refcount.ts';

const [root = '', sr = '', vdi = '', times = '0'] = process.argv.slice(2);
const refs = new RefCounts(srUuid(sr), {
  deadline: Deadline.after(20_000),
  places: { root: `${root}/refcount`, lockRoot: `${root}/lock` },
});
for (let n = 0; n < Number(times); n += 1)
  await refs.locked(vdiUuid(vdi), async () => refs.get(vdiUuid(vdi), 'normal'));
