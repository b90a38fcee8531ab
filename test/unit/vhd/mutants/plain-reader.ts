/** Bytes of a file; zeroes behind its end. */
export type ReadBytes = (offset: number, length: number) => Buffer;

/**
 * What a sound image shows in its first `upTo` bytes, read by the specification, one sector after another, by nothing
 * of ours. `below` is the content of its parent.
 */
export function plainContent(read: ReadBytes, fileBytes: number, upTo: number, below: Buffer): Buffer {
  const footer = read(fileBytes - (fileBytes % 512 === 511 ? 511 : 512), 512);
  const size = Math.min(Number(footer.readBigUInt64BE(48)), upTo);
  if (footer.readUInt32BE(60) === 2) return read(0, size);
  const header = read(Number(footer.readBigUInt64BE(16)), 1024);
  const bat = Number(header.readBigUInt64BE(16));
  const perBlock = header.readUInt32BE(32) / 512;
  const bitmapBytes = Math.max(512, Math.ceil(perBlock / 8 / 512) * 512);
  const content = Buffer.alloc(size);
  below.copy(content, 0, 0, Math.min(size, below.length));
  let bitmap: Buffer = Buffer.alloc(0);
  let place = 0;
  for (let sector = 0; sector * 512 < size; sector += 1) {
    const inBlock = sector % perBlock;
    if (inBlock === 0) {
      place = read(bat + (sector / perBlock) * 4, 4).readUInt32BE();
      bitmap = place === 0xffffffff ? Buffer.alloc(bitmapBytes) : read(place * 512, bitmapBytes);
    }
    const isThere = ((bitmap[inBlock >> 3] ?? 0) & (0x80 >> (inBlock & 7))) !== 0;
    if (isThere) read(place * 512 + bitmapBytes + inBlock * 512, 512).copy(content, sector * 512);
  }
  return content;
}
