import { RbdsrError } from '../../base/error.ts';

/** Which image, as data: every part may contain anything Ceph allows. */
export interface ImageSpec {
  readonly pool: string;
  /** A RADOS namespace; absent for the default one. */
  readonly namespace?: string;
  readonly image: string;
  /** Absent for the image itself. */
  readonly snapshot?: string;
}

/** `pool/namespace/image@snapshot` for messages: control characters escaped, never parsed again. */
export function formatSpec(spec: ImageSpec): string {
  const namespace = spec.namespace === undefined || spec.namespace === '' ? '' : `${printable(spec.namespace)}/`;
  const snapshot = spec.snapshot === undefined ? '' : `@${printable(spec.snapshot)}`;
  return `${printable(spec.pool)}/${namespace}${printable(spec.image)}${snapshot}`;
}

/** `text` with control characters and lone surrogates as `\xNN` or `\u{N}`, and a backslash doubled. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\\]/gu, (character) => {
    if (character === '\\') return '\\\\';
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

export function sameSpec(a: ImageSpec, b: ImageSpec): boolean {
  return (
    a.pool === b.pool &&
    (a.namespace ?? '') === (b.namespace ?? '') &&
    a.image === b.image &&
    (a.snapshot ?? '') === (b.snapshot ?? '')
  );
}

/**
 * Refuses, with 'image-unmappable', what the kernel cannot be told: it splits the line written to `/sys/bus/rbd/add` at
 * white space (drivers/block/rbd.c, next_token), options at commas, and takes a snapshot called "-" for none.
 */
export function checkMappable(spec: ImageSpec): void {
  checkPart(spec, 'pool', spec.pool, WHITE_SPACE);
  if (spec.namespace !== undefined && spec.namespace !== '') {
    checkPart(spec, 'namespace', spec.namespace, WHITE_SPACE_OR_COMMA);
  }
  checkPart(spec, 'image', spec.image, WHITE_SPACE);
  if (spec.snapshot === undefined) return;
  checkPart(spec, 'snapshot', spec.snapshot, WHITE_SPACE);
  if (spec.snapshot === '-') throw unmappable(spec, 'the snapshot is called "-", which the kernel takes for none');
}

/** What isspace() and the end of a C string mean to the kernel's tokenizer. */
const WHITE_SPACE = /[ \f\n\r\t\v\0]/;
const WHITE_SPACE_OR_COMMA = /[ \f\n\r\t\v\0,]/;
/** NAME_MAX less "snap_" would be less; this bounds the whole line below one page. */
const MAX_BYTES = 1024;

function checkPart(spec: ImageSpec, part: string, value: string, forbidden: RegExp): void {
  if (value === '') throw unmappable(spec, `the name of the ${part} is empty`);
  const [character] = forbidden.exec(value) ?? [];
  if (character !== undefined) {
    const what = `the name of the ${part} ${JSON.stringify(value)} contains ${nameOf(character)}, where the kernel ends a name`;
    throw unmappable(spec, what);
  }
  if (Buffer.byteLength(value) > MAX_BYTES) {
    throw unmappable(spec, `the name of the ${part} is longer than ${MAX_BYTES} bytes`);
  }
}

const NAMES: Readonly<Record<string, string>> = {
  ' ': 'a space',
  '\t': 'a tab',
  '\n': 'a line feed',
  '\r': 'a carriage return',
  '\f': 'a form feed',
  '\v': 'a vertical tab',
  '\0': 'a NUL',
  ',': 'a comma',
};

function nameOf(character: string): string {
  return NAMES[character] ?? JSON.stringify(character);
}

function unmappable(spec: ImageSpec, what: string): RbdsrError {
  return new RbdsrError('image-unmappable', {
    what: `the kernel cannot map ${formatSpec(spec)}: ${what}`,
    todo: 'Use another image, or give it another name with `rbd rename`; `ceph osd pool rename` does that for a pool.',
  });
}
