/**
 * What other software writes on a block device, recognised by magic bytes at fixed places. Each row names its public
 * source. One row is enough to refuse a device: nothing here is parsed further.
 */
export interface Signature {
  readonly what: string;
  /** From the start of the device, in bytes; negative from its end. */
  readonly offset: number;
  readonly magic: Buffer;
  readonly source: string;
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const hex = (value: string): Buffer => Buffer.from(value.replaceAll(' ', ''), 'hex');
const KiB = 1024;
/**
 * Where the four uberblock arrays of ZFS labels 0 and 1 may begin with a valid uberblock: its magic in both byte
 * orders.
 */
const ZFS_PLACES = Array.from({ length: 128 }, (_, slot) => 128 * KiB + slot * KiB);

export const SIGNATURES: readonly Signature[] = [
  row('a bluestore OSD', 0, text('bluestore block device\n'), 'Ceph BlueStore.cc, label'),
  row('an ext2/3/4 file system', 1080, hex('53ef'), 'Linux fs/ext4, s_magic'),
  row('an XFS file system', 0, text('XFSB'), 'Linux fs/xfs, XFS_SB_MAGIC'),
  row('a btrfs file system', 64 * KiB + 64, text('_BHRfS_M'), 'Linux fs/btrfs, BTRFS_MAGIC'),
  row('a bcache device', 4096 + 24, hex('c68573f64e1a45ca8265f57f48ba6d81'), 'Linux drivers/md/bcache'),
  row('swap space', 4096 - 10, text('SWAPSPACE2'), 'Linux include/linux/swap.h'),
  row('swap space', 4096 - 10, text('SWAP-SPACE'), 'Linux include/linux/swap.h'),
  row('a LUKS volume', 0, hex('4c554b53babe'), 'LUKS on-disk format'),
  row('an NTFS file system', 3, text('NTFS    '), 'NTFS boot sector OEM id'),
  row('an exFAT file system', 3, text('EXFAT   '), 'exFAT specification'),
  row('a FAT file system', 54, text('FAT1'), 'FAT specification, BS_FilSysType'),
  row('a FAT file system', 82, text('FAT32   '), 'FAT specification, BS_FilSysType'),
  row('an ISO 9660 file system', 32 * KiB + 1, text('CD001'), 'ECMA-119'),
  row('a GFS2 file system', 64 * KiB, hex('01161970'), 'Linux fs/gfs2'),
  row('an OCFS2 file system', 8 * KiB, text('OCFSV2'), 'Linux fs/ocfs2'),
  row('a JFS file system', 32 * KiB, text('JFS1'), 'Linux fs/jfs'),
  row('a ReiserFS file system', 64 * KiB + 52, text('ReIsEr'), 'Linux fs/reiserfs'),
  row('a VMFS volume', 1024 * KiB, hex('0dd001c0'), 'VMFS volume header'),
  row('a VMware VMFS file system', 2048 * KiB, hex('5ef1abe2'), 'VMFS file system header'),
  row('an md RAID member', 0, hex('fc4e2ba9'), 'Linux md, version 1.1'),
  row('an md RAID member', 4096, hex('fc4e2ba9'), 'Linux md, version 1.2'),
  row('an md RAID member', -8 * KiB, hex('fc4e2ba9'), 'Linux md, version 1.0'),
  row('a DRBD device', -4096 + 60, hex('8374026b'), 'DRBD meta data 8.4'),
  row('a VHD image', 0, text('conectix'), 'blktap vhd.h'),
  row('a QCOW image', 0, hex('514649fb'), 'QEMU qcow2'),
  ...ZFS_PLACES.flatMap((place) => [
    row('a ZFS pool member', place, hex('0cb1ba0000000000'), 'OpenZFS uberblock, little-endian'),
    row('a ZFS pool member', place, hex('0000000000bab10c'), 'OpenZFS uberblock, big-endian'),
  ]),
];

function row(what: string, offset: number, magic: Buffer, source: string): Signature {
  return { what, offset, magic, source };
}
