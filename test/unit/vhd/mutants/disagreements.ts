import type { ImageFinding } from '../../../../src/vhd/check/findings.ts';

/** Of one mutant: what was changed, whether each checker calls it sound, and what they say. */
export interface Verdicts {
  readonly what: string;
  readonly theirs: boolean;
  /** The first line that vhd-util prints. */
  readonly says: string;
  readonly ours: boolean;
  /** The codes of our errors. */
  readonly errors: readonly string[];
  readonly findings: readonly ImageFinding[];
}

interface Disagreement {
  readonly name: string;
  readonly why: string;
  readonly is: (verdicts: Verdicts) => boolean;
}

/** Where ours takes what vhd-util refuses, with such a line. */
function takes(name: string, why: string, says: RegExp): Disagreement {
  return { name, why, is: ({ ours, theirs, says: line }) => ours && !theirs && says.test(line) };
}

/** Where ours refuses what vhd-util takes, with nothing but such errors, of such a mutant. */
function refuses(name: string, why: string, codes: readonly string[], what = /^/): Disagreement {
  const is = ({ ours, theirs, errors, what: mutant }: Verdicts): boolean =>
    !ours && theirs && errors.every((code) => codes.includes(code)) && what.test(mutant);
  return { name, why, is };
}

const BLOCKS = ['block-in-metadata', 'block-overlap', 'block-beyond-end'];

/** Each kind of disagreement, and why it stands. Every row is met by a recorded mutant. */
export const DISAGREEMENTS: readonly Disagreement[] = [
  takes('future', 'a wrong clock spoils no disk: a warning', / in future$/),
  takes('geometry', 'the size counts, and many makers write the largest geometry: a warning', /geometry too large$/),
  takes('other parent', 'parents are not looked at: info and cat do, and name both uuids', /: invalid parent uuid$/),
  takes('names differ', 'the uuid decides which disk is the parent: a warning', /does not match header name/),
  takes(
    'unreadable names',
    'a name that is not ASCII, or cut, is one of several: a warning while another can be read',
    /^error reading parent locator|: invalid parent name$/,
  ),
  refuses('not full', 'a tapdisk would show stale sectors of that block', ['batmap-not-full']),
  refuses('short', 'a fixed disk whose content is not all there', ['too-short']),
  refuses('overlap', 'whoever writes one of two structures that lie over each other next destroys the other', [
    'metadata-overlap',
  ]),
  refuses(
    'broken sector',
    'nobody can say how a disk ends within a sector',
    ['end-footer', 'footer-copy'],
    /currentSize/,
  ),
  refuses(
    'whole 2 MiB',
    'vhd-util counts as many blocks as the size has whole 2 MiB, whatever the size of a block, and looks at no others',
    [...BLOCKS, 'header'],
    /blocks\/512k|header\.blockSize/,
  ),
  refuses(
    'wrapped',
    "vhd-util's sectors are numbers of 32 bits: a block that ends behind 2 TiB ends at its beginning",
    BLOCKS,
    /^(?!.*blocks\/512k).*bat \d+ 42949[67]\d{4}/,
  ),
];
