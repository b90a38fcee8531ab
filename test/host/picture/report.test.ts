import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { reportPage } from '../../../src/cli/picture/html/page.ts';
import { srFindings } from '../../../src/picture/fsck/find-all.ts';
import type { Picture } from '../../../src/picture/picture.ts';
import { unpackVectors } from '../../support/lvhd-vectors.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { childOf, disksOf, HOSTILE, offline, stored, usualSr, uuid, vhdNode } from '../../unit/picture/sample.ts';
import { showPage } from './browser.ts';

const plugin = usePlugin();

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'rbdsr-report-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function pageOf(picture: Picture): string {
  const file = join(folder(), 'report.html');
  writeFileSync(file, reportPage(picture, srFindings(picture), 'Version : 0.1.0'));
  return file;
}

/** In the page: each box of a chain with its place, and the lines that lead to it. */
const BOXES = `[...document.querySelectorAll('.node')].map((node) => {
  const { x, y, width, height } = node.querySelector('rect').getBoundingClientRect();
  const text = node.querySelector('.box');
  return { x, y, width, height, name: text.querySelector('b').textContent, inside: text.scrollHeight <= height + 1 };
})`;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly name: string;
  readonly inside: boolean;
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Width and height in the header of a PNG. */
function sizeOfPng(png: Buffer): [number, number] {
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

test('a browser draws the chains: every node once, children to the right of their parent, no box over another', async () => {
  await using page = await showPage(pageOf(usualSr()));
  const boxes = await page.evaluate<Box[]>(BOXES);
  expect(boxes.map(({ name }) => name.slice(0, 20)).toSorted()).toEqual(
    [
      'base copy',
      'base copy',
      'evil\\x1b[2J\\u{202e}\\',
      'gone',
      'quorum',
      'web',
      'web before the updat',
      'web clone',
    ].toSorted(),
  );
  const pairs = boxes.flatMap((a, at) => boxes.slice(at + 1).map((b) => [a, b] as const));
  expect(pairs.filter(([a, b]) => overlap(a, b))).toEqual([]);
  expect(boxes.filter(({ inside }) => !inside)).toEqual([]);
  const place = (name: string): Box | undefined => boxes.find((box) => box.name === name);
  expect(place('web')?.x).toBeGreaterThan(place('base copy')?.x ?? 0);
  expect(await page.evaluate<number>(`document.querySelectorAll('.line').length`)).toBe(5);
  const text = await page.evaluate<string>('document.body.innerText');
  for (const part of ['Health', 'Room', 'Chains', 'In use', 'Hosts', 'Keys', 'Mappings on this host', 'client.xen-old'])
    expect(text).toContain(part);
  expect(text).toContain('on alpha (RW)');
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  const png = await page.screenshot();
  expect(sizeOfPng(png)[1]).toBeGreaterThan(900);
});

test('hostile names run nothing, load nothing, and turn nothing', async () => {
  const evil = `<img src="http://192.0.2.1/x" onerror="document.title='hacked'">${HOSTILE}`;
  const { xapi, ...rest } = usualSr();
  const picture: Picture = {
    ...rest,
    ...(xapi === undefined ? {} : { xapi: { ...xapi, nameLabel: evil, keys: { ...xapi.keys, user: evil } } }),
  };
  const file = pageOf(picture);
  await using page = await showPage(file);
  expect(await page.evaluate<string>('document.title')).toMatch(/^SR 0a1b2c3d/);
  expect(await page.evaluate<number>(`document.querySelectorAll('img, script, iframe, link, a').length`)).toBe(0);
  expect(page.asked).toEqual([]);
  expect(page.complaints).toEqual([]);
  expect(readFileSync(file, 'utf8').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
});

test('what is wrong stands out, also on a narrow screen', async () => {
  const deep = Array.from({ length: 31 }, (_unused, at) => (at === 0 ? childOf(99, 1) : childOf(at, at + 1)));
  const picture = offline(disksOf([...deep, vhdNode(40)], [stored(40, 'x'.repeat(400))]));
  await using page = await showPage(pageOf(picture), 500);
  expect(await page.evaluate<string[]>(`[...document.querySelectorAll('.wrong b')].map((b) => b.textContent)`)).toEqual(
    ['(no name)'],
  );
  const findings = await page.evaluate<string>(
    `[...document.querySelectorAll('.finding')].map((f) => f.innerText).join()`,
  );
  expect(findings).toContain(`names VHD-${uuid(99)} as its parent`);
  // The chain scrolls by itself, and the page does not.
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  expect(
    await page.evaluate<boolean>(`[...document.querySelectorAll('.chain')].some((c) => c.scrollWidth > c.clientWidth)`),
  ).toBe(true);
});

test('the command writes a page of a copy of an SR, again over an earlier one, and never over anything else', async () => {
  using archive = unpackVectors('chains', ['chains-thin.img']);
  const device = join(archive.folder, 'chains-thin.img');
  const file = join(folder(), 'sr.html');
  for (const _time of ['first', 'again']) {
    const { code, stderr } = await plugin.run('/nowhere', ['report', '--device', device, '--html', file], 'cli');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  }
  const before = statSync(device).mtimeMs;
  const over = await plugin.run('/nowhere', ['report', '--device', device, '--html', device], 'cli');
  expect(over).toMatchObject({ code: 1, stderr: expect.stringContaining('no page of an earlier report') });
  expect(statSync(device).mtimeMs).toBe(before);
  const nowhere = await plugin.run('/nowhere', ['report', '--device', device], 'cli');
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('--html FILE') });
  await using page = await showPage(file);
  expect(await page.evaluate<number>(`document.querySelectorAll('.node').length`)).toBe(14);
  expect(await page.evaluate<string>('document.body.innerText')).toContain('nothing is wrong');
});
