export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** Type and permission bits: 0o100755 a program, 0o040755 a folder, 0o120777 a link, whose data is its target. */
  readonly mode: number;
  readonly data?: Uint8Array;
}

export const FILE = 0o100644;
export const PROGRAM = 0o100755;
export const FOLDER = 0o040755;
export const LINK = 0o120777;

/**
 * An archive the kernel unpacks as its first root: cpio "newc"
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.map((entry, index) => record(entry, index + 1));
  return Buffer.concat([...parts, record({ path: 'TRAILER!!!', mode: 0 }, 0)]);
}

function record({ path, mode, data = new Uint8Array() }: CpioEntry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(data)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
