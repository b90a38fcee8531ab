// The layers: docs/layers.md says in one table which folder may import which; this finds whatever differs. A row covers
// the subfolders of its folder that have no row of their own. Types count like values, and so does `import()`.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';

const TABLE = 'docs/layers.md';
const SOURCE = /\.(ts|mjs|cjs)$/;

/** What is wrong in the project at `root`, a line each; none where all is well. */
export function layerFaults(root) {
  const rows = readTable(readFileSync(join(root, TABLE), 'utf8'));
  const files = sourcesOf(root, rows);
  const graph = new Map(files.map((file) => [file, importsOf(root, file)]));
  const faults = files.flatMap((file) => graph.get(file).flatMap((target) => faultOf(rows, file, target)));
  const idle = rows
    .filter(({ folder }) => !files.some((file) => isIn(file, folder)))
    .map(({ folder }) => `${TABLE} has a row for ${folder}, where there is no source`);
  const circles = circlesOf(graph).map((circle) => `a circle of imports: ${circle.join(' -> ')}`);
  return [...faults, ...idle, ...circles];
}

/** Rows `| folder | what it may import | ... |`; a folder that is named may be imported with all below it. */
function readTable(text) {
  const cells = text.split('\n').flatMap((line) => {
    const [, folder, imports] = /^\| `([^`]+)` \| ([^|]*) \|/.exec(line) ?? [];
    return folder === undefined
      ? []
      : [{ folder, imports: [...imports.matchAll(/`([^`]+)`/g)].map(([, name]) => name) }];
  });
  return cells.map(({ folder, imports }) => ({
    folder,
    imports: imports.flatMap((name) => expand(cells, folder, name)),
  }));
}

/** "everything above" is every folder whose row stands higher. */
function expand(cells, folder, name) {
  if (name !== 'everything above') return [name];
  return cells
    .slice(
      0,
      cells.findIndex((cell) => cell.folder === folder),
    )
    .map((cell) => cell.folder);
}

function sourcesOf(root, rows) {
  const tops = [...new Set(rows.map(({ folder }) => folder.split('/')[0]))];
  return tops.flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((file) => !file.startsWith('test/fixtures/')),
  );
}

/** Files of the project that `file` names in an import, an export, an `import()` or a type `import()`. */
function importsOf(root, file) {
  const text = readFileSync(join(root, file), 'utf8');
  const { module } = parseSync(file, text);
  const names = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.map(({ moduleRequest }) => moduleRequest?.value)),
    ...[...text.matchAll(/\bimport\(\s*'([^']+)'/g)].map(([, name]) => name),
  ];
  const own = names.filter((name) => name?.startsWith('.') === true);
  return [...new Set(own.map((name) => relative(root, resolve(root, dirname(file), name))))];
}

function faultOf(rows, file, target) {
  if (target.startsWith('..')) return [`${file} imports ${target}, outside of the project`];
  if (!SOURCE.test(target)) return [];
  if (/(^|\/)_[^/]*$/.test(target) && dirname(target) !== dirname(file))
    return [`${file} imports ${target}: a file that begins with _ belongs to its folder alone`];
  const from = rowOf(rows, file);
  const to = rowOf(rows, target);
  if (from === undefined) return [`${dirname(file)} has no row in ${TABLE}`];
  if (to === undefined) return [`${dirname(target)} has no row in ${TABLE}`];
  if (isIn(target, from.folder) || from.imports.some((folder) => isIn(target, folder))) return [];
  return [
    `${file} imports ${target}: ${from.folder} may import only ${from.imports.join(', ') || 'nothing'} (${TABLE})`,
  ];
}

/** The row of the deepest folder that holds it. */
function rowOf(rows, file) {
  return rows
    .filter(({ folder }) => isIn(file, folder))
    .toSorted((a, b) => b.folder.length - a.folder.length)
    .at(0);
}

function isIn(file, folder) {
  return normalize(file).startsWith(`${folder}/`) || file === folder;
}

/** Each group of files of which every one reaches every other, once (Tarjan's algorithm). */
function circlesOf(graph) {
  const index = new Map();
  const lowest = new Map();
  const stack = [];
  const circles = [];
  const visit = (file) => {
    index.set(file, index.size);
    lowest.set(file, index.get(file));
    stack.push(file);
    for (const target of graph.get(file) ?? []) {
      if (!graph.has(target)) continue;
      if (!index.has(target)) visit(target);
      if (stack.includes(target)) lowest.set(file, Math.min(lowest.get(file), lowest.get(target)));
    }
    if (lowest.get(file) !== index.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1 || graph.get(file).includes(file)) circles.push(group);
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return circles;
}
