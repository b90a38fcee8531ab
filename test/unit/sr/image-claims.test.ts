import { expect, test } from 'vitest';
import { monitorHosts } from '../../../src/sr/image/image-claims.ts';

// Two SRs name one image by the same monitors, each in its own way.
test.each([
  '10.0.0.1,10.0.0.2',
  '10.0.0.1:6789; 10.0.0.2:6790',
  'v1:10.0.0.1:6789/0 10.0.0.2:6789/0',
  '[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0],[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]',
])('the hosts of %s', (text) => {
  expect(monitorHosts(text)).toEqual(['10.0.0.1', '10.0.0.2']);
});

test('those of IPv6, names, and of a list that is none', () => {
  expect(monitorHosts('[fd00::0:1]:6789,Mon.Example')).toEqual(['fd00::1', 'mon.example']);
  expect(monitorHosts('fd00::1')).toEqual(['fd00::1']);
  expect(monitorHosts('10.0.0.1:x')).toEqual([]);
  expect(monitorHosts()).toEqual([]);
});
