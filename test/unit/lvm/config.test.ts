import { describe, expect, it } from 'vitest';
import { lvmConfig } from '../../../src/lvm/config.ts';
import { FAILURE_PATTERNS, matchFailure } from '../../../src/lvm/failure-patterns.ts';

describe('lvmConfig', () => {
  it('accepts the one device and writes nothing unless told to', () => {
    const config = lvmConfig({ device: '/dev/rbd1', writable: false });
    expect(config).toContain('filter=["a|^/dev/rbd1$|","r|.*|"]');
    expect(config).toContain('global_filter=["a|^/dev/rbd1$|","r|.*|"]');
    expect(config).toContain('metadata_read_only=1');
    expect(lvmConfig({ device: '/dev/rbd1', writable: true })).toContain('metadata_read_only=0');
  });

  it('names every section once: LVM takes the first of two', () => {
    const sections = [...lvmConfig({ device: '/dev/rbd1', writable: true }).matchAll(/(\w+)\{/g)].map(
      ([, name]) => name,
    );
    expect(new Set(sections).size).toBe(sections.length);
  });

  it('a dot in a name is a dot', () => {
    expect(lvmConfig({ device: '/dev/a.b', writable: false })).toContain('^/dev/a[.]b$');
  });

  it.each(['/dev/rbd0|x', '/dev/"', 'rbd0', '/dev/rbd*', '/dev/a b', '/dev/a$'])('%s is refused', (device) => {
    expect(() => lvmConfig({ device, writable: false })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('failure patterns', () => {
  it.each(FAILURE_PATTERNS.flatMap(({ name, samples }) => samples.map((sample) => [name, sample])))(
    '%s: %s',
    (name, sample) => {
      expect(matchFailure(sample ?? '')?.name).toBe(name);
    },
  );

  it('other complaints are not torn reads', () => {
    expect(matchFailure('  Volume group "x" has insufficient free space (94 extents): 2048 required.')).toBeUndefined();
  });
});
