import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readKernelMessages } from '../../../src/ceph/kernel-messages.ts';
import { kernelTraits } from '../../../src/ceph/kernel-traits.ts';
import { mapFailure } from '../../../src/ceph/map-failure.ts';
import { errnoName } from '../../../src/system/errno-name.ts';

const FIELD = join(import.meta.dirname, '../../fixtures/field');

interface Entry {
  readonly file: string;
  readonly what: string;
  readonly command: string;
  readonly given: { readonly errno: string; readonly kernel: string; readonly answering: number };
}

const ALL = JSON.parse(readFileSync(join(FIELD, 'cluster.json'), 'utf8')) as Entry[];
const REFUSED = ALL.filter(({ command }) => command === 'explain a refused mapping');

/** What the answer has to say, and what it must not. */
const SAYS: Readonly<Record<string, { readonly says: readonly string[]; readonly never?: readonly string[] }>> = {
  'kernel/key-type-refused.txt': { says: ['a type that this host', 'a key of type aes', '--key-type aes'] },
  'kernel/key-type-refused-silent.txt': {
    says: ['a type that this host', 'a key of type aes', 'Linux 4.19.0+1'],
    never: ['524', 'Unknown system error'],
  },
};

describe("why a mapping was refused, by the kernel's log", () => {
  test.each(REFUSED.filter(({ file }) => file in SAYS))('$file: $what', ({ file, given }) => {
    const log = readFileSync(join(FIELD, file), 'utf8').split('\n');
    const { message } = mapFailure({
      spec: { pool: 'rbd', image: 'img' },
      user: 'xen',
      monitors: '192.0.2.1:6789',
      errno: errnoName({ code: given.errno }) ?? '',
      findings: readKernelMessages(log),
      kernel: kernelTraits(given.kernel),
      answering: given.answering,
    });
    for (const part of SAYS[file]?.says ?? []) expect(message).toContain(part);
    for (const part of SAYS[file]?.never ?? []) expect(message).not.toContain(part);
  });
});
