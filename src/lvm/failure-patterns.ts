/**
 * LVM tells some things only in words. Every pattern we look for is here, with a sample of the real output
 * (test/unit/lvm checks each). Everything else is decided by a second look at the volume group.
 */
export interface FailurePattern {
  readonly name: 'torn-metadata-read';
  readonly pattern: RegExp;
  readonly why: string;
  readonly samples: readonly string[];
}

export const FAILURE_PATTERNS: readonly FailurePattern[] = [
  {
    name: 'torn-metadata-read',
    pattern: /Incorrect (?:checksum in )?metadata area header/,
    why: 'another host was rewriting the metadata header while this one read it: reading again helps (sm lvutil retries 10 times)',
    samples: [
      '  Incorrect checksum in metadata area header on /dev/sdb at 4096',
      '  Incorrect metadata area header checksum on /dev/loop0 at offset 4096',
    ],
  },
];

export function matchFailure(stderr: string): FailurePattern | undefined {
  return FAILURE_PATTERNS.find((entry) => entry.pattern.test(stderr));
}
