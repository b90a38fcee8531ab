import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readSecret } from '../../../src/system/secret-input.ts';
import { failureOf } from '../../support/expect-error.ts';

/** A terminal in raw mode hands over what is typed and shows nothing by itself. */
function terminal() {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true as const,
    setRawMode(mode: boolean) {
      modes.push(mode);
      return this as never;
    },
  });
  const stderr = new PassThrough();
  return { stdin, stderr, modes, shown: () => String(stderr.read() ?? '') };
}

test.each([
  ['one line', ['s3cret\n'], 's3cret'],
  ['no line end', ['s3cret'], 's3cret'],
  ['the first of several', ['s3cret\r\nmore\n'], 's3cret'],
  ['in pieces', ['s3', 'cr\u00fc', 't\nx'], 's3crüt'],
])('from a pipe: %s', async (_what, chunks, secret) => {
  const stderr = new PassThrough();
  expect(
    (await readSecret({ stdin: Readable.from(chunks.map((text) => Buffer.from(text))), stderr }, 'key')).reveal(),
  ).toBe(secret);
  expect(stderr.read()).toBeNull();
});

test('nothing at all is refused', async () => {
  await failureOf('invalid-argument', () => readSecret({ stdin: Readable.from([]), stderr: new PassThrough() }, 'key'));
});

test('from a terminal: asked for, edited, and never shown', async () => {
  const { stdin, stderr, modes, shown } = terminal();
  const secret = readSecret({ stdin, stderr }, 'password of xen');
  stdin.write('wrong\u0015s3crex\u007ft\r');
  expect((await secret).reveal()).toBe('s3cret');
  expect(modes).toEqual([true, false]);
  expect(shown()).toBe('password of xen: \n');
});

test('from a terminal: given up', async () => {
  const { stdin, stderr, modes } = terminal();
  const secret = readSecret({ stdin, stderr }, 'key');
  stdin.write('half\u0003');
  const error = await failureOf('invalid-argument', () => secret);
  expect(error.message).not.toContain('half');
  expect(modes).toEqual([true, false]);
});
