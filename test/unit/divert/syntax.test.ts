import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pythons } from './pythons.ts';
import { divertSource } from './verdicts.ts';

const DIVERT = join(import.meta.dirname, '../../../src/main/divert.py');

/**
 * XenServer 6.5 has Python 2.4, and nothing here has: what 2.4 lacks and is easily written is looked for in the syntax
 * tree. New in 2.5: with, try with except and finally, conditional expressions, relative imports, any, all, partition,
 * startswith of a tuple; in 2.6: except ... as, print as a function, b'', class decorators, format; in 2.7: set
 * literals, comprehensions of sets and dicts; in 3: the rest.
 */
const NEWER = `
import ast, sys
tree = ast.parse(sys.stdin.read())
newer = (ast.With, ast.IfExp, ast.Set, ast.SetComp, ast.DictComp, ast.JoinedStr, ast.NamedExpr, ast.Nonlocal, ast.Starred,
         ast.AsyncFunctionDef, ast.Await, ast.YieldFrom, ast.AnnAssign, ast.Match, ast.MatMult)
names = ('any', 'all', 'print', 'bytes', 'next', 'bytearray', 'memoryview')
methods = ('format', 'partition', 'rpartition', 'bit_length')
found = []
for node in ast.walk(tree):
    line = getattr(node, 'lineno', 0)
    if isinstance(node, newer):
        found.append((line, type(node).__name__))
    if isinstance(node, ast.Try) and node.handlers and node.finalbody:
        found.append((line, 'except and finally'))
    if isinstance(node, ast.ExceptHandler) and node.name:
        found.append((line, 'except as'))
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        found.append((line, 'bytes'))
    if isinstance(node, ast.ImportFrom) and node.level:
        found.append((line, 'relative import'))
    if isinstance(node, ast.Name) and node.id in names:
        found.append((line, node.id))
    if isinstance(node, ast.Attribute) and node.attr in methods:
        found.append((line, node.attr))
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.decorator_list:
        found.append((line, 'decorator'))
    if isinstance(node, ast.FunctionDef) and (node.args.kwonlyargs or node.args.posonlyargs or node.returns):
        found.append((line, 'arguments'))
    if isinstance(node, ast.FunctionDef) and any(isinstance(inner, (ast.FunctionDef, ast.Lambda)) for inner in ast.walk(node) if inner is not node):
        found.append((line, 'nested function beside exec'))
print(found)
`;

function newerThings(source: string): string {
  return execFileSync('/usr/bin/python3', ['-c', NEWER], { encoding: 'utf8', input: source }).trim();
}

test('nothing in the dispatcher is newer than Python 2.4, as far as its syntax tree tells', () => {
  expect(newerThings(divertSource())).toBe('[]');
});

test('that check can fail', () => {
  const code = `with open('x') as f: print(any(b'' for _ in f) if f else f'{f}')`;
  const found = newerThings(code);
  for (const what of ['With', 'IfExp', 'JoinedStr', 'bytes', 'print', 'any']) expect(found).toContain(what);
});

test.each(pythons())('Python $version compiles it without a warning', ({ program }) => {
  const code = `import sys; f = open(sys.argv[1]); text = f.read(); f.close(); compile(text, 'divert.py', 'exec')`;
  const { status, stderr } = spawnSync(program, ['-W', 'error', '-c', code, DIVERT], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('the sh half is plain ASCII, without what Python would read as an escape or the end of the text', () => {
  const [, sh = ''] = /^#!\/bin\/sh\n''':'\n(.*?)\n'''\n/s.exec(divertSource()) ?? [];
  expect(sh).toContain('rbdsr_run_stock "$@"');
  expect(sh.replaceAll('%s\\n', '')).not.toContain('\\');
  expect(divertSource()).toMatch(/^[\n -~]*$/);
});

test.each(['/bin/dash', '/bin/bash'])('%s reads the sh half', (shell) => {
  const [, sh = ''] = /^#!\/bin\/sh\n(''':'\n.*?)\n'''\n/s.exec(divertSource()) ?? [];
  const { status, stderr } = spawnSync(shell, ['-n'], { input: sh, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
