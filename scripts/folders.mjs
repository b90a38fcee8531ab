// What a person sees of the source without opening it: folders that can be taken in at a glance, comments that fit the
// screen.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TOPS = ['src', 'lab', 'test', 'bench', 'scripts'];
const MOST_FILES = 25;
const WIDEST_COMMENT = 120;

/** What is wrong in the project at `root`, a line each. */
export function folderFaults(root) {
  return TOPS.flatMap((top) => faultsBelow(root, top));
}

function faultsBelow(root, folder) {
  if (folder === 'test/fixtures' || folder.endsWith('/__snapshots__')) return [];
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${folder}/${name}`);
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => `${folder}/${name}`);
  return [
    ...(files.length > MOST_FILES ? [`${folder} has ${files.length} files side by side, more than ${MOST_FILES}`] : []),
    ...(files.length === 1 && folders.length === 0 ? [`${folder} is a folder for one file, ${files[0]}`] : []),
    ...files.filter((file) => /\.(ts|mjs|cjs)$/.test(file)).flatMap((file) => wideComments(root, file)),
    ...folders.flatMap((below) => faultsBelow(root, below)),
  ];
}

function wideComments(root, file) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  return lines.flatMap((line, index) =>
    line.length > WIDEST_COMMENT && /^\s*(\/\/|\/\*|\*)/.test(line)
      ? [`${file}:${index + 1} is a comment of ${line.length} characters, more than ${WIDEST_COMMENT}`]
      : [],
  );
}
