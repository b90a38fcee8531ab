/**
 * What the output of a command on an image of the field has to state: the facts of the manifest's `right.says`, as
 * patterns over what ours prints.
 */
export const SAYS: Readonly<Record<string, readonly RegExp[]>> = {
  'check fixed/azure.vhd': [/is sound$/, /^warning: the geometry is larger than the size/],
  'info fixed/azure.vhd': [/type: +fixed/, /virtual size: +3145728/],
  'check fixed/hyperv.vhd': [/^fixed\/hyperv.vhd is sound$/],
  'info fixed/child.vhd': [/└─ .*hyperv.vhd {2}fixed, 4 MiB/],
  'check fixed/short.vhd': [/the file ends before the content .*: 4194304 bytes are expected, 3145728 are there/],
  'check blocks/512k.vhd': [/^blocks\/512k.vhd is sound$/],
  'info blocks/512k.vhd': [/allocated: +3 of 6 blocks of 512 KiB/],
  'check blocks/16m.vhd': [/blocks of 16 MiB, which no host takes/, /^(?![^]*(damaged|invalid))/],
  'info parents/moved.vhd': [
    ...child(),
    /└─ \? a parent of .* is not there; expected one of .*RQ0.vhd/,
    /--parent PATH/,
  ],
  'check parents/moved.vhd': [/is sound$/],
  'info parents/delta-export.vhd': [
    ...child(),
    /one of \/dev\/\S+, \S+\/parents\/dev\/\S+, \S+\/parents\/VHD-5e1c0c2a-1111-4222-8333-0123456789ab\. Activate/,
    /--parent PATH/,
  ],
  'check parents/delta-export.vhd': [/is sound$/],
  'info parents/none.vhd': [...child(), /└─ \? .*it names none/],
  'check parents/none.vhd': [/none of the parent locators .* is readable/],
  'info parents/eight-bit.vhd': [...child(), /└─ \? a parent of .* is not there; expected /, /--parent PATH/],
  'info parents/other/child.vhd': [
    ...child(),
    /└─ \? .*base.vhd is not the parent that .*child.vhd names; expected a VHD with uuid \S+; found a VHD with uuid/,
  ],
  'info parents/circle/p.vhd': [...child(), /└─ .*q.vhd {2}differencing/, /comes back to .*p.vhd/],
  'check footers/no-reserved-feature.vhd': [/feature bit 2 .* is not/],
  'check footers/temporary.vhd': [/^footers\/temporary.vhd is sound$/],
  'check footers/reserved-bytes.vhd': [/the reserved bytes of the footer are in use/],
  'check footers/no-uuid.vhd': [/the uuid is zero: a child of this disk would count as a child of a raw one/],
  'check footers/future.vhd': [/^warning: the disk was created in the future/, /is sound$/],
  'check footers/geometry.vhd': [/^warning: the geometry is larger than the size/, /is sound$/],
  'check footers/saved-2.vhd': [/the saved state is 2, neither 0 nor 1/],
  'check footers/saved-1.vhd': [/^footers\/saved-1.vhd is sound$/],
  'check footers/type-6.vhd': [/expected 2 \(fixed\), 3 \(dynamic\) or 4 \(differencing\); found 6/],
  'check footers/qemu-20g.vhd': [/^warning: the geometry/m, /is sound$/],
  'check headers/sound.vhd': [/^headers\/sound.vhd is sound$/],
  'check headers/data-offset.vhd': [/the unused offset of the header/],
  'check headers/reserved1.vhd': [/reserved field of the header is in use/],
  'check headers/parent-left-over.vhd': [/the header has a parent, and the disk is of a type that has none/],
  'check headers/locator-left-over.vhd': [/^warning: a disk without a parent has 1 parent locators/],
  'check headers/unknown-locator.vhd': [/parent locator 1 is of no platform that is known/],
  'check headers/two-w2ru.vhd': [/parent locators 0 and 1 are of one platform/],
  'check headers/names-differ.vhd': [/^warning: the names of the parent differ: .*base.vhd.*other.vhd/],
  'check headers/parent-time.vhd': [/^warning: the time of the parent lies in the future/, /is sound$/],
  'check headers/batmap-1.0.vhd': [/^headers\/batmap-1.0.vhd is sound$/],
  'check headers/batmap-1.3.vhd': [/batmap.version/],
  'check headers/batmap-sum.vhd': [/the batmap at byte \d+ sums to/],
  'check headers/full-is-partial.vhd': [/the batmap calls block 0 full; its bitmap .* of 4096 sectors/],
  'check early/hidden-old-sum.vhd': [
    /^warning: the sum of the footer is of the time before the disk was hidden/,
    /sound$/,
  ],
  'info early/hidden-old-sum.vhd': [/type: +dynamic, hidden/],
  'check early/hidden-in-copy.vhd': [/^early\/hidden-in-copy.vhd is sound$/],
  'info early/hidden-in-copy.vhd': [/type: +dynamic, hidden/],
  'check early/hidden-old-sum-1.3.vhd': [/footer.checksum/],
  'check early/poisoned.vhd': [/a resize of this disk was cut short/, /journal .* played back, or the disk restored/],
  'info early/poisoned.vhd': [/uuid:/, /error: +a resize of this disk was cut short/],
  'check locators/zero-ended.vhd': [/is sound$/],
  'check locators/long.vhd': [/is sound$/],
  'check locators/sectors.vhd': [/is sound$/],
  'check locators/last-slot.vhd': [/is sound$/],
  'check locators/byte-order-mark.vhd': [/is sound$/],
  'info chain31/l31.vhd': [/(?:^ *└─ .*\n?){30}/m],
  'check chain31/l31.vhd': [/^chain31\/l31.vhd is sound$/],
  'check bat/zeroes.vhd': [/block 3 at .* over the metadata[^]*block 4 at .*[^]*block 5 at /],
  'info bat/zeroes.vhd': [/uuid:/, /error: +block 3 at byte 0 lies over the metadata/],
  'check bat/spaced-4096.vhd': [/block 1 at byte \d+ lies over block 0[^]*block 2 at byte \d+ lies over block 1/],
  'info bat/spaced-4096.vhd': [/uuid:/, /error: +block 1 at byte \d+ lies over block 0/],
  'check bat/beyond-end.vhd': [/block 3 at .* behind the footer[^]*block 4 at .* behind the footer/],
  'info bat/beyond-end.vhd': [
    /uuid:/,
    /error: +block 3 .* behind the footer/,
    /data ends at: +\d{10,}, of 2101248 bytes/,
  ],
  'check bat/cut-in-block.vhd': [/no footer at the end/, /block 1 .*, 1048164 bytes behind the end of the file/],
  'info bat/cut-in-block.vhd': [/uuid:/, /error: +block 1 .*, 1048164 bytes behind the end of the file/],
  'check bat/cut-at-footer.vhd': [/no footer at the end/, /^(?![^]*(originalSize|behind the end))/],
  'check bat/gap.vhd': [/^bat\/gap.vhd is sound$/],
  'check bat/padded.vhd': [/no footer at the end/],
  'check bat/locator-behind.vhd': [/lies over the metadata/],
  'check bat/header-far.vhd': [/^bat\/header-far.vhd is sound$/],
  'check bat/header-after-bat.vhd': [/^bat\/header-after-bat.vhd is sound$/],
  'check bat/header-odd.vhd': [/expected the byte of the dynamic header, a multiple of 512/],
  ...stranger('raw', 'without one'),
  ...stranger('zero-footer', 'without one'),
  ...stranger('odd', 'without one'),
  ...stranger('renamed-vhdx', 'VHDX'),
  ...stranger('renamed-qcow2', 'qcow2'),
  ...stranger('renamed-vmdk', 'VMDK'),
  'check strangers/lost-cookie.vhd': lostFooter(),
  'check --in-use strangers/lost-cookie.vhd': [/^strangers\/lost-cookie.vhd is sound$/],
  'check strangers/lost-footer.vhd': lostFooter(),
  'check --in-use strangers/lost-footer.vhd': [/^strangers\/lost-footer.vhd is sound$/],
  'info strangers/escape.vhd': [/by "[^"\\]*\\x1b[^"\\]*" /],
  'check original/zero.vhd': [/is sound$/],
  'check original/ones.vhd': [/is sound$/],
  'info original/ones.vhd': [/size at creation: +18446744073709551615$/m],
  'check original/2p60.vhd': [/is sound$/],
  'check sizes/2040g.vhd': [/^sizes\/2040g.vhd is sound$/],
  'check sizes/2041g.vhd': [/^warning: no SR takes more than 2040 GiB/, /is sound$/],
  'check sizes/4t.vhd': [/at most 2199023255552 bytes, 2 TiB/],
  'check legacy/511.vhd': [
    /^warning: the footer at byte \d+ is an old one of 511 bytes \(end-footer\)\nlegacy\S+ is sound$/,
  ],
  'check legacy/509.vhd': [/no footer at the end/],
};

/** All facts of a child whose parent is gone. */
function child(): RegExp[] {
  return [
    /^uuid: +\S{36}$/m,
    /type: +differencing/,
    /virtual size: +\d+/,
    /allocated: +\d+ of \d+ blocks/,
    /parent name:/,
  ];
}

/** The same sentence of each command, and not a word on what is in it. */
function stranger(name: string, found: string): Record<string, RegExp[]> {
  const says = [/is not a VHD; expected a footer/, new RegExp(`found .*${found}`), /^(?![^]*(checksum|originalSize))/];
  return { [`check strangers/${name}.vhd`]: says, [`info strangers/${name}.vhd`]: says };
}

function lostFooter(): RegExp[] {
  return [/there is no footer at the end: it is overwritten where the disk is in use or its host crashed/, /--in-use/];
}
