import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { serveFiles } from './fuse-files.ts';
import { linux61, type Tree, writeTree } from '../recorded-sysfs.ts';

/**
 * The kernel's RBD client on a host that is a folder: a write to one of its two files in sysfs returns when the mapping
 * has come or gone, as the kernel's does. It knows one image, which is a device of this machine, and one cluster, whose
 * monitor greets and wants every message signed: whoever asks more of it takes ceph tools.
 */
export interface KrbdStandIn extends AsyncDisposable {
  /** Of the monitor, as device_config has it. */
  readonly monitor: string;
}

export interface StandingImage {
  readonly device: string;
  /** What sysfs has of its mapping. */
  readonly attributes: Tree;
}

export async function krbdStandIn(root: string, image: StandingImage): Promise<KrbdStandIn> {
  const sysRoot = `${root}/sys`;
  const files = `${root}/krbd`;
  for (const folder of [files, `${sysRoot}/bus/rbd/devices`, `${root}/dev`]) mkdirSync(folder, { recursive: true });
  for (const name of FILES) symlinkSync(join(files, name), join(sysRoot, 'bus/rbd', name));
  const node = `${root}/dev/rbd0`;
  const add = async (line: string): Promise<void> => {
    const [, options = ''] = line.split(' ');
    await symlink(image.device, node);
    writeTree({ sysRoot }, { 'block/rbd0/ro': options.split(',').includes('ro') ? '1' : '0' });
    writeTree(
      { sysRoot },
      linux61(0, { ...image.attributes, config_info: line.replace(/secret=[^,\s]*/, 'secret=***') }),
    );
  };
  const remove = async (): Promise<void> => {
    for (const path of [`${sysRoot}/bus/rbd/devices/0`, `${sysRoot}/block/rbd0`, node])
      await rm(path, { recursive: true, force: true });
  };
  const server = await serveFiles(files, { add_single_major: add, remove_single_major: remove });
  const monitor = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(WANTS_SIGNATURES);
  }).listen(0, '127.0.0.1');
  await once(monitor, 'listening');
  return {
    monitor: `127.0.0.1:${(monitor.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      monitor.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const FILES = ['add_single_major', 'remove_single_major'] as const;

/** The banner, two addresses, and the answer to what a client offers: tag 12, and the features that it has to have. */
const WANTS_SIGNATURES = Buffer.concat([Buffer.from('ceph v027'), Buffer.alloc(2 * 136), refusal()]);

function refusal(): Buffer {
  const reply = Buffer.alloc(26);
  reply.writeUInt8(12);
  reply.writeBigUInt64LE(1n << 23n, 1);
  return reply;
}
