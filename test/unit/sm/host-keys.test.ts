import { describe, expect, it } from 'vitest';
import { activeHosts, conflictingHosts, heldBackBy, isAbandoned } from '../../../src/sr/hosts/host-keys.ts';

describe('claims of hosts on a VDI', () => {
  const claims = { vdi_type: 'vhd', 'host_OpaqueRef:a': 'RO', 'host_OpaqueRef:b': 'RW' };

  it('one writer excludes everybody else, readers only a writer', () => {
    expect(activeHosts(claims)).toEqual(['OpaqueRef:a', 'OpaqueRef:b']);
    expect(conflictingHosts(claims, 'OpaqueRef:c', false)).toEqual(['OpaqueRef:b']);
    expect(conflictingHosts(claims, 'OpaqueRef:c', true)).toEqual(['OpaqueRef:a', 'OpaqueRef:b']);
    expect(conflictingHosts({ 'host_OpaqueRef:a': 'RO' }, 'OpaqueRef:c', false)).toEqual([]);
    expect(conflictingHosts(claims, 'OpaqueRef:b', false)).toEqual([]);
  });

  it('only versions that know relinking heed it', () => {
    expect(heldBackBy({ relinking: 'True' }, true)).toBe('relinking');
    expect(heldBackBy({ relinking: 'True' }, false)).toBeUndefined();
    expect(heldBackBy({ paused: 'true' }, false)).toBe('paused');
  });

  it('activating holds nothing back by itself: adding it fails where it is there', () => {
    expect(heldBackBy({ activating: 'True' }, true)).toBeUndefined();
  });

  it('activating is nobody’s after a while without a host’s claim', () => {
    expect(isAbandoned({ activating: 'True' }, 1000)).toBe(false);
    expect(isAbandoned({ activating: 'True' }, 16_000)).toBe(true);
    expect(isAbandoned({ activating: 'True', 'host_OpaqueRef:a': 'RO' }, 16_000)).toBe(false);
  });
});
