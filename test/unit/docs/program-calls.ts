import { basename } from 'node:path';
import { parseSync } from 'oxc-parser';

/** What a source runs outside of itself. */
export interface ProgramCalls {
  /** `lvm lvchange -ay`, `ceph osd pool ls`: program, and the words before the first option or value. */
  readonly calls: readonly string[];
  /** `#change: #changing`, a function that runs what it is told, and by what: its callers make the calls. */
  readonly told: readonly string[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [member: string]: unknown;
}

/** Where a function that runs a program has the program, the first word, and the others. */
interface Runner {
  readonly program: string | number;
  readonly verb?: string | number;
  readonly words?: number;
}

const RUNNERS: ReadonlyMap<string, Runner> = new Map<string, Runner>(
  Object.entries({
    runProgram: { program: 0, words: 1 },
    runChecked: { program: 0, words: 1 },
    'host.run': { program: 0, words: 1 },
    lvmCommand: { program: 'lvm', verb: 1, words: 2 },
    askFor: { program: 'lvm', verb: 1 },
    '#changing': { program: 'lvm', verb: 0, words: 1 },
    '#persistently': { program: 'lvm', verb: 0, words: 1 },
    '#locally': { program: 'lvm', verb: 'lvchange', words: 0 },
    '#change': { program: 'lvm', verb: 'lvchange', words: 1 },
    rbd: { program: 'rbd', words: 0 },
    rbdRange: { program: 'rbd', words: 0 },
    ceph: { program: 'ceph', words: 0 },
  }),
);
/** `#run` of class TapCtl, which tells it the words alone. */
const TAP_CTL: Runner = { program: 'tap-ctl', words: 0 };
/** A list that a change of the installer has run: path and words. */
const PATH = /^\/(?:usr\/)?s?bin\/[^/]+$/;

/** Constants of the sources that are paths of programs, by name. */
export type ProgramPaths = ReadonlyMap<string, string>;

export function programPaths(text: string): readonly (readonly [string, string])[] {
  return [...text.matchAll(/\bconst ([A-Z_]+) = '([^']+)';/g)].flatMap(([, name = '', path = '']) =>
    PATH.test(path) ? [[name, path] as const] : [],
  );
}

export function programCalls(file: string, text: string, paths: ProgramPaths = new Map()): ProgramCalls {
  const calls = new Set<string>();
  const told = new Set<string>();
  const nodes = nodesOf(parseSync(file, text).program as unknown as Node);
  const arrayNamed = arraysByName(nodes);
  const textOf = (node: unknown): string | undefined =>
    literalOf(node) ?? (isNode(node, 'Identifier') ? paths.get(String(node['name'])) : undefined);
  const owners = nodes.filter(({ type }) => /^(?:MethodDefinition|FunctionDeclaration)$/.test(type)).toReversed();
  const owner = ({ start }: Node): string => nameOf(owners.find((one) => one.start <= start && start < end(one)));
  const wordsOf = (node: unknown): readonly (readonly string[])[] | undefined => {
    if (isNode(node, 'ConditionalExpression')) {
      const both = [node['consequent'], node['alternate']].map(wordsOf);
      return both.some((words) => words === undefined) ? undefined : both.flatMap((words) => words ?? []);
    }
    if (isNode(node, 'Identifier')) {
      return wordsOf(arrayNamed(node));
    }
    if (!isNode(node, 'ArrayExpression')) return undefined;
    const words: string[] = [];
    for (const [index, element] of (node['elements'] as readonly unknown[]).entries()) {
      const spread = isNode(element, 'SpreadElement') ? wordsOf(element['argument'])?.[0] : undefined;
      const text = textOf(element);
      // Whoever has made that list, or given that name, is the caller.
      if (index === 0 && text === undefined && isFromElsewhere(element) && spread === undefined) return undefined;
      if (text === undefined && spread === undefined) break;
      words.push(...(spread ?? [text ?? '']));
    }
    return [words];
  };
  for (const node of nodes) {
    if (node.type === 'ArrayExpression') {
      const [path, ...words] = wordsOf(node)?.[0] ?? [];
      if (path !== undefined && PATH.test(path)) calls.add(named(basename(path), words));
    }
    if (node.type !== 'CallExpression') continue;
    const callee = calleeOf(node['callee']);
    const args = node['arguments'] as readonly unknown[];
    const runner = callee === '#run' && args[0] !== undefined ? runnerOf(args[0]) : RUNNERS.get(callee);
    if (runner === undefined) continue;
    const at = (place: string | number | undefined): string | undefined =>
      typeof place === 'number' ? textOf(args[place]) : place;
    const program = at(runner.program);
    const verb = at(runner.verb);
    const words = runner.words === undefined ? [[]] : wordsOf(args[runner.words]);
    if (program === undefined || words === undefined || (runner.verb !== undefined && verb === undefined)) {
      told.add(`${owner(node)}: ${callee}`);
      continue;
    }
    for (const list of words) calls.add(named(basename(program), verb === undefined ? list : [verb, ...list]));
  }
  return { calls: [...calls], told: [...told] };
}

/** Programs that a shell script of the package runs, where each command begins. */
export function shellCalls(text: string): readonly string[] {
  const command =
    /(?:^|[;|&({]|\b(?:if|then|else|do)\b)[ \t]*(rpm|lvm|dmsetup|udevadm|systemctl|tap-ctl|rbd|ceph) (-?[\w-]+)/gm;
  const commands = text.replaceAll(/^[ \t]*#.*$/gm, '');
  return [...new Set([...commands.matchAll(command)].map(([, program, word]) => `${program} ${word}`))];
}

/** LVM's commands with their first option, which tells one use of them from another; else no option, unless alone. */
function named(program: string, words: readonly string[]): string {
  const firstOption = words.findIndex((word) => word.startsWith('-') || word.startsWith('/'));
  const plain = firstOption < 0 ? words : words.slice(0, firstOption);
  const option = words[firstOption]?.startsWith('-') === true ? [words[firstOption]] : [];
  const isLvm = program === 'lvm' && plain[0]?.startsWith('lv') === true && plain[0] !== 'lvs';
  return [program, ...plain.slice(0, 3), ...(isLvm || plain.length === 0 ? option : [])].join(' ');
}

function runnerOf(first: unknown): Runner {
  return literalOf(first) === undefined && !isNode(first, 'Identifier') ? TAP_CTL : { program: 0, words: 1 };
}

/** `f`, `#f` of any object, `host.run`, and else the last name. */
function calleeOf(node: unknown): string {
  if (isNode(node, 'Identifier')) return String(node['name']);
  if (!isNode(node, 'MemberExpression')) return '';
  const property = node['property'] as Node;
  if (property.type === 'PrivateIdentifier') return `#${String(property['name'])}`;
  const name = typeof property['name'] === 'string' ? property['name'] : '';
  return name === 'run' ? `${calleeOf(node['object'])}.run` : name;
}

/** Of a function or method. */
function nameOf(node: Node | undefined): string {
  const name = (node?.['key'] ?? node?.['id']) as Node | undefined;
  if (name === undefined) return 'the module';
  return `${name.type === 'PrivateIdentifier' ? '#' : ''}${String(name['name'])}`;
}

function literalOf(node: unknown): string | undefined {
  return isNode(node, 'Literal') && typeof node['value'] === 'string' ? node['value'] : undefined;
}

function isFromElsewhere(element: unknown): boolean {
  return isNode(element, 'SpreadElement') || isNode(element, 'Identifier');
}

/** The list that a name stands for where it is used, unless the name is that of a parameter. */
function arraysByName(nodes: readonly Node[]): (use: Node) => Node | undefined {
  const scopes = nodes.filter(({ type }) => /Function|^Program$/.test(type)).toReversed();
  const around = ({ start }: Node): Node[] => scopes.filter((scope) => scope.start <= start && start < end(scope));
  const arrays = nodes.flatMap((node) => {
    const { id, init } = node as Partial<Record<'id' | 'init', Node>>;
    if (node.type !== 'VariableDeclarator' || !isNode(init, 'ArrayExpression')) return [];
    return [{ name: id?.['name'], scope: around(node)[0], array: init }];
  });
  return (use) => {
    for (const scope of around(use)) {
      const found = arrays.find(({ name, scope: own }) => own === scope && name === use['name']);
      if (found !== undefined) return found.array;
      const parameters = (scope['params'] ?? []) as readonly Node[];
      if (parameters.some((parameter) => parameter['name'] === use['name'])) return undefined;
    }
    return undefined;
  };
}

function end(node: Node): number {
  return Number(node['end']);
}

function isNode(value: unknown, type: string): value is Node {
  return typeof value === 'object' && value !== null && (value as Partial<Node>).type === type;
}

/** In the order of the text. */
function nodesOf(root: Node): Node[] {
  const nodes: Node[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      if (typeof (value as Partial<Node>).type === 'string') nodes.push(value as Node);
      Object.values(value).forEach(visit);
    }
  };
  visit(root);
  return nodes.toSorted((a, b) => a.start - b.start);
}
