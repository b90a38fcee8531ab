import { expect, test } from 'vitest';
import { reportPage } from '../../../src/cli/picture/html/page.ts';
import { html, namedText } from '../../../src/cli/picture/html/escape.ts';
import { srFindings } from '../../../src/picture/fsck/find-all.ts';
import { asked, disksOf, HOSTILE, offline, usualSr } from './sample.ts';

test('an SR as one page', async () => {
  const picture = asked(usualSr());
  const page = reportPage(picture, srFindings(picture), 'Version : 0.1.0').replace(/<style>[^<]*<\/style>/, '');
  await expect(page).toMatchFileSnapshot('__snapshots__/report.html');
});

test('the page fetches nothing and runs nothing', () => {
  const page = reportPage(usualSr(), [], 'Version : 0.1.0');
  expect(page).toContain(`content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"`);
  expect(page).not.toMatch(/<script|<img|<link|@import|url\(|\son\w+=/);
});

test('a host without ceph tools says so in place of the watchers', () => {
  const missing = [{ part: 'cluster' as const, why: 'this host has no program called rbd', wanted: false }];
  expect(reportPage({ ...usualSr(), missing }, [], 'Version : 0.1.0')).toContain(
    '<h2>Watchers</h2><p>Not known: <bdi>this host has no program called rbd</bdi></p>',
  );
});

test('a value in a page is text, a name one that turns nothing', () => {
  expect(html`<p title="${'"><i>'}">${HOSTILE}</p>`.html).toBe(
    `<p title="&quot;&gt;&lt;i&gt;">${HOSTILE.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')}</p>`,
  );
  expect(namedText('a\u202Eb\u001B').html).toBe('<bdi>a\\u{202e}b\\x1b</bdi>');
});

test('an SR of which the image cannot be read, and one without a disk, have a page too', () => {
  const { disks: _unread, ...rest } = usualSr();
  const missing = [{ part: 'disks' as const, why: 'waited 58.0 s for the cluster', wanted: true }];
  const page = reportPage({ ...rest, missing }, [], 'Version : 0.1.0');
  expect(page).toContain('The image could not be read.');
  expect(page).toContain('Not known, what is on the image: waited 58.0 s for the cluster');
  expect(reportPage(offline(disksOf([], [])), [], 'Version : 0.1.0')).toContain('There are no disks.');
});
