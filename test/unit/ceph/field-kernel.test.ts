import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readKernelMessages } from '../../../src/ceph/krbd/kernel-messages.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { mapFailure } from '../../../src/ceph/krbd/map-failure.ts';
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

const TUNABLES5 = {
  says: ['CRUSH_TUNABLES5', 'mask 0x400000000000000', '`ceph osd crush tunables hammer`'],
  never: ['does not name'],
};

/** What the answer has to say, and what it must not. */
const SAYS: Readonly<Record<string, { readonly says: readonly string[]; readonly never?: readonly string[] }>> = {
  'kernel/tunables5.txt': TUNABLES5,
  'kernel/tunables5-repeated.txt': TUNABLES5,
  'kernel/mask-only.txt': TUNABLES5,
  'kernel/tunables3.txt': {
    says: ['CRUSH_TUNABLES3', 'mask 0x20000000000', '`ceph osd crush tunables bobtail`'],
    never: ['does not name'],
  },
  'kernel/two-masks.txt': {
    says: ['CRUSH_TUNABLES3', 'CRUSH_V4 (straw2)', 'mask 0x1020000000000', 'alg straw2/alg straw/'],
    never: ['tunables firefly'],
  },
  'kernel/second-line-only.txt': {
    says: ['features the kernel does not name', 'it lacks CRUSH_TUNABLES5', '`ceph osd crush tunables hammer`'],
    never: ['CRUSH_TUNABLES3', 'CRUSH_V4'],
  },
  'kernel/blocklist-refused.txt': {
    says: [
      'client.xen may not blocklist client3363889',
      "mon 'profile rbd'",
      "ceph auth caps client.xen mon 'profile rbd'",
    ],
  },
  'kernel/wrong-peer.txt': { says: ['what answers at 192.0.2.9:6789 is not the monitor'] },
  'kernel/crush-rule-msr.txt': {
    says: ['cannot decode', 'MSR', 'pg-upmap-primary'],
    never: ['set-require-min-compat-client jewel'],
  },
  'kernel/key-type-refused.txt': { says: ['a type that this host', 'a key of type aes', '--key-type aes'] },
  'kernel/key-type-refused-silent.txt': {
    says: ['a type that this host', 'a key of type aes', 'Linux 4.19.0+1'],
    never: ['524', 'Unknown system error'],
  },
};

describe("why a mapping was refused, by the kernel's log", () => {
  test('each has its answer', () => expect(Object.keys(SAYS).sort()).toEqual(REFUSED.map(({ file }) => file).sort()));

  test.each(REFUSED)('$file: $what', ({ file, given }) => {
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
