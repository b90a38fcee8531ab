import { describe, expect, test } from 'vitest';
import { offeredAlgorithms } from '../../../src/system/ssh/ssh-algorithms.ts';

describe('what is offered', () => {
  test('nothing with a known break', () => {
    const offered = JSON.stringify(offeredAlgorithms([]));
    expect(offered).not.toMatch(/group1-|md5|cbc|arcfour|ssh-dss|zlib|exchange-sha1|sha1-96/);
  });

  test.each([
    ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa', 'ssh-ed25519']],
    ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384', 'ssh-ed25519']],
  ])('a known key of type %s is asked for first', (type, first) => {
    const { serverHostKey = [] } = offeredAlgorithms([type]);
    expect([...(serverHostKey as readonly string[])].slice(0, first.length)).toEqual(first);
    expect(new Set(serverHostKey as readonly string[]).size).toBe((serverHostKey as readonly string[]).length);
  });
});
