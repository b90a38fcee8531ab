/**
 * One line of a story: what xapi, a guest or an administrator does next, with the disks by the names that the story
 * gives them. Sizes are MiB, places and lengths of writes sectors; `kill` is the fault point at which it dies.
 */
export interface Operation {
  readonly verb: Verb;
  readonly disk?: string;
  /** What it is a snapshot or a clone of. */
  readonly of?: string;
  readonly host?: number;
  readonly mib?: number;
  readonly raw?: number;
  readonly at?: number;
  readonly sectors?: number;
  /** Of the bytes that are written. */
  readonly seed?: number;
  readonly kill?: string;
}

export const VERBS = [
  'create',
  'snapshot',
  'clone',
  'delete',
  'delete-base',
  'resize',
  'attach',
  'detach',
  'move',
  'write',
  'scan',
  'replug',
  'reboot',
  'collect',
] as const;
export type Verb = (typeof VERBS)[number];

/** In the order in which they are printed. */
const FIELDS = ['disk', 'of', 'host', 'mib', 'raw', 'at', 'sectors', 'seed', 'kill'] as const;
const NAMES: ReadonlySet<string> = new Set(['disk', 'of', 'kill']);

/** `snapshot disk=b of=a kill=vdi-snapshot.after-rename; scan`: what `npm run soak -- --story` takes. */
export function storyText(story: readonly Operation[], separator = '; '): string {
  return story.map(operationText).join(separator);
}

export function operationText(operation: Operation): string {
  const fields = FIELDS.flatMap((field) => (operation[field] === undefined ? [] : [`${field}=${operation[field]}`]));
  return [operation.verb, ...fields].join(' ');
}

/** The story of such a text; lines are as good as semicolons. */
export function parseStory(text: string): readonly Operation[] {
  return text
    .split(/[;\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map(parseOperation);
}

function parseOperation(line: string): Operation {
  const [verb = '', ...words] = line.split(/\s+/);
  if (!VERBS.some((known) => known === verb)) throw new Error(`no operation is called ${verb}: ${line}`);
  const fields = words.map((word) => {
    const [, name = '', value = ''] = /^([a-z]+)=(.+)$/.exec(word) ?? [];
    if (!FIELDS.some((known) => known === name)) throw new Error(`no operation has ${word}: ${line}`);
    return [name, NAMES.has(name) ? value : Number(value)] as const;
  });
  return { verb, ...Object.fromEntries(fields) } as Operation;
}
