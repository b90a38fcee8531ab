/**
 * Random access to a fixed-size run of bytes: a file, a block device, or the extents of a logical volume on one.
 * Offsets and lengths are bytes and may have any alignment; an implementation over O_DIRECT aligns on its own.
 * Reading or writing past `size` is an 'io' error that names the range. After `flush()` returns, every write that was
 * accepted before it survives a power cut.
 */
export interface BlockIo {
  /** What messages call it: a path, usually. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  read(offset: number, length: number): Promise<Buffer>;
  write(offset: number, data: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}
