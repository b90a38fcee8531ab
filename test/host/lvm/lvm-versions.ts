/**
 * How a version of LVM behaves where versions differ. What a row says is what its transcript shows,
 * test/fixtures/lvm/<version>.json, which that version wrote (record-transcript.ts); `versions.test.ts` holds each row
 * against it, and class `Lvm` against each transcript. "Read-only" is `metadata_read_only=1`, as slaves ask.
 */
export interface LvmVersion {
  /** Of lvm2; `-xs` is upstream's with the patches of XenServer's source package. */
  readonly version: string;
  /** Where it runs. */
  readonly hosts: string;
  /** `pvs` that is not told a device, of a healthy SR, read-only: every row, and this exit code. */
  readonly reportOfAll: 0 | 5;
  /** `pvs` of a PV that belongs to no VG, read-only. */
  readonly reportOfBarePv: 0 | 5;
  /** `pvs` of a device whose metadata are damaged; where this is 0 there is a row that names no VG. */
  readonly reportOfDamaged: 0 | 5;
  /** lvcreate, lvremove, lvrename, lvresize and pvresize, read-only. */
  readonly changes: 'refused, exit 0' | 'done';
  /** `lvchange -p` and `lvchange --addtag`, read-only. */
  readonly lvChanges: 'refused, exit 5' | 'done';
  /** `lvchange -ay` and `-an`, read-only: done, or refused with exit code 5. */
  readonly activatesReadOnly: boolean;
  /** The same of `lvchange --refresh`. */
  readonly refreshesReadOnly: boolean;
  /** `lvresize --fs`: exit code 3 where it is not known. */
  readonly knowsFs: boolean;
  /**
   * It takes block devices of the driver "rbd" for its own, whatever lvm.conf says of types (stock-collector.test.ts).
   */
  readonly knowsRbd: boolean;
}

const REFUSED = { changes: 'refused, exit 0', knowsFs: false, knowsRbd: false } as const;
const PLAIN = { ...REFUSED, lvChanges: 'refused, exit 5', activatesReadOnly: false, refreshesReadOnly: false } as const;
/** XenServer's patch lets every `lvchange` through. */
const XENSERVER = { ...REFUSED, lvChanges: 'done', activatesReadOnly: true, refreshesReadOnly: true } as const;
const HEEDLESS = {
  changes: 'done',
  lvChanges: 'done',
  activatesReadOnly: true,
  refreshesReadOnly: true,
  knowsRbd: true,
} as const;
const ANSWERS = { reportOfAll: 0, reportOfBarePv: 0, reportOfDamaged: 0 } as const;
const REFUSES = { reportOfAll: 5, reportOfBarePv: 5, reportOfDamaged: 5 } as const;

export const VERSIONS: readonly LvmVersion[] = [
  {
    version: '2.02.84',
    hosts: 'XenServer 6.5, with patches of its own',
    ...ANSWERS,
    ...PLAIN,
    activatesReadOnly: true,
  },
  { version: '2.02.130', hosts: 'no XenServer', ...ANSWERS, ...PLAIN },
  { version: '2.02.130-xs7', hosts: 'XenServer 7.5 and 7.6', ...ANSWERS, ...XENSERVER },
  { version: '2.02.177', hosts: 'no XenServer', ...ANSWERS, ...PLAIN },
  { version: '2.02.177-xs8.0', hosts: 'XenServer and XCP-ng 8.0', ...ANSWERS, ...XENSERVER },
  { version: '2.02.180', hosts: 'no XenServer', ...REFUSES, ...PLAIN },
  { version: '2.02.180-xs8', hosts: 'XenServer and XCP-ng 8.1 to 8.3', ...REFUSES, ...XENSERVER },
  { version: '2.02.187', hosts: 'no XenServer', ...ANSWERS, reportOfDamaged: 5, ...PLAIN },
  { version: '2.03.16', hosts: 'Debian 12', ...ANSWERS, ...HEEDLESS, knowsFs: false },
  { version: '2.03.29', hosts: 'no XenServer', ...ANSWERS, ...HEEDLESS, knowsFs: true },
];
