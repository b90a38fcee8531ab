import type { Deadline } from '../../src/base/deadline.ts';
import { type Operation, storyText } from './operation.ts';

type Story = readonly Operation[];

/**
 * A shorter story that goes wrong at its last operation, too: parts are left out, first halves, at last single
 * operations, until none can be spared; then what is left is made simpler. `goesWrong` tells it on a pool of its own.
 * Ends at the deadline with what it has by then.
 */
export async function shrink(
  story: Story,
  goesWrong: (story: Story) => Promise<boolean>,
  deadline: Deadline,
): Promise<Story> {
  const tried = new Set<string>();
  let shortest = story;
  const isWrong = async (fewer: Story): Promise<boolean> => {
    const shorter = withoutUnmade(fewer);
    const text = storyText(shorter);
    if (deadline.expired || tried.has(text) || shorter.at(-1)?.verb !== story.at(-1)?.verb) return false;
    tried.add(text);
    if (!(await goesWrong(shorter))) return false;
    shortest = shorter;
    return true;
  };
  for (let part = Math.ceil(story.length / 2); ; part = Math.ceil(part / 2)) {
    const before = shortest.length;
    // From the end, where what went wrong is near.
    for (let end = shortest.length; end > 0; end = Math.min(end - part, shortest.length))
      await isWrong([...shortest.slice(0, Math.max(0, end - part)), ...shortest.slice(end)]);
    if (part === 1 && shortest.length === before) break;
  }
  for (const at of shortest.keys())
    for (const simpler of simplerThan(shortest[at])) if (await isWrong(shortest.with(at, simpler))) break;
  return shortest;
}

/** What is about a disk that nothing makes any more cannot be done. */
function withoutUnmade(story: Story): Story {
  const made = new Set<string>();
  return story.filter(({ verb, disk, of }) => {
    if (of !== undefined && !made.has(of)) return false;
    if (disk === undefined || made.has(disk)) return true;
    if (verb !== 'create' && of === undefined) return false;
    made.add(disk);
    return true;
  });
}

/** The simplest first. */
function simplerThan(operation: Operation | undefined): readonly Operation[] {
  if (operation === undefined) return [];
  const { kill, ...unharmed } = operation;
  return [
    ...(kill === undefined ? [] : [unharmed]),
    ...(operation.verb === 'write' ? [{ ...operation, at: 0, sectors: 1, seed: 1 }] : []),
    ...(operation.verb === 'create' && operation.mib !== 2 ? [{ ...operation, mib: 2 }] : []),
  ];
}
