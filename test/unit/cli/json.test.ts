import { expect, test } from 'vitest';
import { jsonText } from '../../../src/cli/json.ts';

test('no character that a terminal obeys, and the same value for who reads it', () => {
  const value = { name: 'a\u001B[2J\u009B2J\u007F\u202E\u2066\u2028b', disk: 'dïsk "磁盘" 💾' };
  const text = jsonText(value);
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Bidi_Control}]/u);
  expect(text).toContain('dïsk \\"磁盘\\" 💾');
  expect(JSON.parse(text)).toEqual(value);
});
