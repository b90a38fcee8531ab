/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78) as Ceph's messengers use it: from a seed, and without the
 * inversion that RFC 3720 ends it with. Both messengers say where the seed is 0 and where all ones.
 */
export function crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});
