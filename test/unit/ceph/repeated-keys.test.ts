import { describe, expect, test } from 'vitest';
import { parseRepeatedKeys } from '../../../src/ceph/control/tools/repeated-keys.ts';

describe('JSON whose objects repeat a key', () => {
  test.each<[string, unknown]>([
    ['{"a":1,"a":2,"a":{"b":3,"b":4}}', { a: 1, 'a#2': 2, 'a#3': { b: 3, 'b#2': 4 } }],
    ['{ "a" : 1 ,\n\t"a"\n:\r\n2 }', { a: 1, 'a#2': 2 }],
    // The same key in another object, a string that is a value, and one in a list are no repetition.
    ['{"a":{"a":"a"},"b":["a","a",{"a":"a"}],"c":"b"}', { a: { a: 'a' }, b: ['a', 'a', { a: 'a' }], c: 'b' }],
    ['["a",{"a":[],"a":[{"a":0}]},"a"]', ['a', { a: [], 'a#2': [{ a: 0 }] }, 'a']],
    // However a key is spelled.
    [String.raw`{"a":1,"\u0061":2}`, { a: 1, 'a#2': 2 }],
    // A number that is a name already.
    ['{"a":1,"a#2":2,"a":3}', { a: 1, 'a#2': 2, 'a#3': 3 }],
    ['{"a":1,"a":2,"a#2":3}', { a: 1, 'a#2': 2, 'a#2#2': 3 }],
    ['"a"', 'a'],
    [' [ ] ', []],
  ])('%s', (text, expected) => {
    expect(parseRepeatedKeys(text)).toEqual(expected);
  });

  const HOSTILE = ['","a":{"', '"', '\\', '\\"', '{', '}', '[{"a":', '":"a', 'a\\\\"', '\u2028', '\0', '__proto__'];

  test.each(HOSTILE)('the text %j is never structure, as a value or as a key', (name) => {
    const value = { a: name, list: [name, { [name]: name, a: 1 }], [name]: { a: name } };
    expect(parseRepeatedKeys(JSON.stringify(value))).toEqual(value);
    const twice = `{${JSON.stringify(name)}:1,${JSON.stringify(name)}:{"a":${JSON.stringify(name)}}}`;
    const read = Object.entries(parseRepeatedKeys(twice) as object);
    expect(read).toEqual([
      [name, 1],
      [`${name}#2`, { a: name }],
    ]);
  });

  test.each(['', '{', '{"a":1', '{"a":1,}', '{"a":1,"a"}', '{"a', '{"a\\', '{"\\x":1}', 'a', '{"a":1}{"a":2}', ']'])(
    'what is not JSON stays so: %j',
    (text) => {
      expect(() => parseRepeatedKeys(text)).toThrow(SyntaxError);
    },
  );

  test('every key of many', () => {
    const text = `{${Array.from({ length: 2000 }, (_, index) => `"watcher":${index}`).join(',')}}`;
    expect(Object.values(parseRepeatedKeys(text) as object)).toHaveLength(2000);
  });
});
