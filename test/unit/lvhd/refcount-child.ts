import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { RefCounts } from '../../../src/lvhd/refcount.ts';

const [root = '', sr = '', vdi = '', times = '0', again = ''] = process.argv.slice(2);
const refs = new RefCounts(srUuid(sr), {
  deadline: Deadline.after(20_000),
  places: { root: `${root}/refcount`, lockRoot: `${root}/lock` },
});
const id = vdiUuid(vdi);
for (let n = 0; n < Number(times); n += 1) {
  await refs.locked(id, async () => refs.get(id, 'normal'));
  if (again === 'put') await refs.locked(id, async () => refs.put(id, 'normal'));
}
