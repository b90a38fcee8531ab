import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startPool } from '../../unit/xapi/fixture.ts';
import { type OpenSr, openSr, unpackVectors, vectorImages, type VectorState } from '../../support/lvhd-vectors.ts';

const HOST = '0f0e0d0c-0b0a-0908-0706-050403020100';

/** A host on which a whole SR of the stock driver is "mapped". */
export interface StockSrHost {
  readonly root: string;
  readonly sr: string;
  readonly open: OpenSr;
  readonly state: VectorState;
}

/**
 * The host in the folder `root` with an SR of an archive: the kernel's list of mappings is a folder, the device a node
 * of the loop device over the image.
 */
export async function hostWithStockSr(root: string, archive: string, image: string): Promise<StockSrHost> {
  const { sr, file, state } = vectorImages(archive)[image] ?? {};
  if (sr === undefined || file === undefined || state === undefined) throw new Error(`no vector ${image}`);
  const unpacked = unpackVectors(archive, [file]);
  const open = await openSr(join(unpacked.folder, file), sr);
  onTestFinished(async () => {
    await open[Symbol.asyncDispose]();
    unpacked[Symbol.dispose]();
  });
  const attributes = {
    pool: 'xen',
    name: 'sr1',
    current_snap: '-',
    major: '252',
    size: '536870912',
    cluster_fsid: 'f',
  };
  for (const [name, value] of Object.entries(attributes)) place(join(root, 'sys/bus/rbd/devices/0', name), value);
  mkdirSync(join(root, 'dev'), { recursive: true });
  execFileSync('cp', ['-a', open.lvm.device, join(root, 'dev/rbd0')]);
  const record = { spec: { pool: 'xen', image: 'sr1' }, fsid: 'f', allocation: 'thick' };
  place(join(root, `var/run/rbdsr/sr/${sr}.json`), JSON.stringify(record));
  return { root, sr, open, state };
}

/** xapi of that host, which has a record of the SR and, so far, of none of its disks. */
export async function xapiOfStockSr(root: string, sr: string, master = HOST) {
  const { double, socketPath } = await startPool();
  const own = double.db.create('host', { uuid: HOST, name_label: 'me', enabled: true });
  const [pool] = double.db.all('pool');
  if (pool !== undefined && master === HOST) pool.fields['master'] = own.ref;
  const row = double.db.create('SR', { uuid: sr, name_label: 'renamed in xapi', type: 'rbd', shared: true });
  mkdirSync(join(root, 'var/lib/xcp'), { recursive: true });
  rmSync(join(root, 'var/lib/xcp/xapi'), { force: true });
  symlinkSync(socketPath, join(root, 'var/lib/xcp/xapi'));
  return { double, row, host: own.ref };
}

function place(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
