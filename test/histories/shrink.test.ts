import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Deadline } from '../../src/base/deadline.ts';
import { Model } from './model.ts';
import { nextOperation } from './next-operation.ts';
import { type Operation, operationText, parseStory, storyText } from './operation.ts';
import { Random } from './random.ts';
import { shrink } from './shrink.ts';

const soon = (): Deadline => Deadline.after(10_000);

test('a long story of which three operations matter becomes these, with what makes their disks', async () => {
  const story = parseStory(`
    create disk=a mib=7; create disk=x mib=4; scan; snapshot disk=b of=a kill=vdi-snapshot.after-rename
    scan; write disk=x at=5 sectors=4 seed=7; delete disk=x; write disk=a at=90 sectors=80 seed=3
    replug host=1; snapshot disk=c of=a; delete disk=b; scan; collect
  `);
  let told = 0;
  const short = await shrink(
    story,
    async (shorter) => {
      told += 1;
      const at = (verb: string, disk: string): number =>
        shorter.findIndex((one) => one.verb === verb && one.disk === disk);
      return at('write', 'a') >= 0 && at('delete', 'b') > at('write', 'a');
    },
    soon(),
  );
  expect(storyText(short)).toBe(
    'create disk=a mib=2; snapshot disk=b of=a; write disk=a at=0 sectors=1 seed=1; delete disk=b; collect',
  );
  expect(told).toBeLessThan(60);
});

test('at the deadline it stays as it is', async () => {
  const story = parseStory('create disk=a mib=7; scan');
  expect(await shrink(story, async () => true, Deadline.after(0))).toEqual(story);
});

test('what is printed of a story is that story again', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = new Random(seed);
      const story: Operation[] = [1, 2, 3, 4].map((number) => nextOperation(random, new Model(), number));
      expect(parseStory(storyText(story))).toEqual(story);
      expect(parseStory(storyText(story, '\n'))).toEqual(story);
    }),
  );
  const whole = 'write disk=a of=b host=1 mib=2 raw=1 at=3 sectors=4 seed=5 kill=a.b:2';
  expect(parseStory(whole).map(operationText)).toEqual([whole]);
});

test.each(['fly disk=a', 'create disc=a', 'create disk'])('%s is no operation', (text) => {
  expect(() => parseStory(text)).toThrow('no operation');
});
