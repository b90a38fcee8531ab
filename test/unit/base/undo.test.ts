import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { notUndone, undo } from '../../../src/base/undo.ts';
import { describeFailure } from '../../../src/sm/protocol/fault.ts';

const first = (): RbdsrError => new RbdsrError('io', { what: 'the disk broke' });

test('everything is taken back in the order given, also after one that could not be, and the first error is thrown', async () => {
  const error = first();
  const done: string[] = [];
  const work = undo(error, {
    'the data path': async () => done.push('data path'),
    'the volume': () => Promise.reject(new RbdsrError('device-busy', { what: 'somebody has it open' })),
    'the mark': async () => done.push('mark'),
  });
  await expect(work).rejects.toBe(error);
  expect(done).toEqual(['data path', 'mark']);
  expect(notUndone(error)).toEqual(['the volume: somebody has it open']);
});

test('each step has ended before the next one begins', async () => {
  const events: string[] = [];
  const step = (name: string) => async (): Promise<void> => {
    events.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    events.push(`${name} ends`);
  };
  await expect(undo(first(), { a: step('a'), b: step('b') })).rejects.toThrow('the disk broke');
  expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});

test('what is left is in the log of whoever tells of the failure, also where it became the cause of another', async () => {
  const inner = first();
  await undo(inner, { 'the mapping /dev/rbd7': () => Promise.reject(new Error('Device or resource busy')) }).catch(
    () => 0,
  );
  const outer = new RbdsrError('vdi-unavailable', { what: 'VDI x cannot be activated', cause: inner });
  await undo(outer, { 'its mark in xapi': () => Promise.reject(new Error('no answer')) }).catch(() => 0);
  expect(notUndone(outer)).toEqual(['its mark in xapi: no answer', 'the mapping /dev/rbd7: Device or resource busy']);
  expect(describeFailure(outer)).toBe(
    'vdi-unavailable: VDI x cannot be activated (because the disk broke)' +
      '; not undone: its mark in xapi: no answer; not undone: the mapping /dev/rbd7: Device or resource busy',
  );
});

test('nothing is left where all was taken back, and of what is no error of ours', async () => {
  const error = first();
  await undo(error, { it: () => Promise.resolve() }).catch(() => 0);
  expect(notUndone(error)).toEqual([]);
  expect(notUndone('text')).toEqual([]);
  await expect(undo('text', { it: () => Promise.reject(new Error('x')) })).rejects.toBe('text');
});
