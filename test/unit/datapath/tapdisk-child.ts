import { Deadline } from '../../../src/base/deadline.ts';
import type { DataPathHost } from '../../../src/datapath/datapath-host.ts';
import type { Disk } from '../../../src/datapath/datapath.ts';
import { TapdiskDataPath } from '../../../src/datapath/tapdisk/tapdisk-data-path.ts';
import { diskOfPath } from '../../../src/lvhd/disk-of-path.ts';

// Activates one disk, to be killed on the way.
const [host, disk] = JSON.parse(process.argv[2] ?? '') as [DataPathHost, Disk];
await new TapdiskDataPath(host, diskOfPath).activate(disk, Deadline.after(20_000));
