import { copyFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/**
 * A program in two files: NAME.first.cjs with the code of its entry and of the modules `first`, and all that these
 * import, and NAME.rest.cjs with the code behind every other `import()`; NAME.cjs is the loader of both. Reading a text
 * and what V8 kept of it costs by the length, whether a command uses it or not.
 *
 * esbuild cuts a program so for ES modules only. Each part becomes CommonJS, and is a function within its file.
 */
export async function packParts(options, name, entry, first) {
  const { outputFiles, metafile } = await build({
    ...options,
    entryPoints: { main: entry },
    format: 'esm',
    splitting: true,
    write: false,
    metafile: true,
  });
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const inFirst = new Set();
  for (const module of [entry, ...first]) addWithImports(inFirst, outputs, partOf(outputs, module));
  const texts = { first: [], rest: [] };
  for (const { path, text } of outputFiles.sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const part = basename(path);
    texts[inFirst.has(part) ? 'first' : 'rest'].push(asFunction(part, text, outputs.get(part)));
  }
  for (const [which, parts] of Object.entries(texts)) {
    writeFileSync(
      join(options.outdir, `${name}.${which}.cjs`),
      `(function(RBDSR_BUNDLE_URL){return{\n${parts.join(',\n')}\n}})\n`,
    );
  }
  copyFileSync(join(options.absWorkingDir, 'scripts/bundle-loader.cjs'), join(options.outdir, `${name}.cjs`));
}

function partOf(outputs, module) {
  for (const [part, { entryPoint }] of outputs) if (entryPoint === module) return part;
  throw new Error(`nothing imports ${module} where a command comes to need it`);
}

function addWithImports(parts, outputs, part) {
  if (parts.has(part)) return;
  parts.add(part);
  for (const { path, kind, external } of outputs.get(part).imports) {
    if (kind === 'import-statement' && external !== true) addWithImports(parts, outputs, basename(path));
  }
}

/**
 * In brackets, so that V8 compiles it with its file. What a part imports is final by the time it is imported: the parts
 * are in no circle, and no module exports what it changes later.
 */
function asFunction(part, text, { imports }) {
  let left = imports.length;
  const body = text
    .replace(/^import "([^"]+)";$/gm, (_, from) => imported(`__import("${from}");`))
    .replace(/^import (\w+) from "([^"]+)";$/gm, (_, name, from) => imported(`const ${name}=__import("${from}");`))
    .replace(/^import \{([^}]*)\} from "([^"]+)";$/gm, (_, names, from) =>
      imported(`const {${names.replaceAll(' as ', ':')}}=__import("${from}");`),
    )
    .replace(/\bimport\("(\.\/[^"]+)"\)/g, (_, from) => imported(`__importLater("${from}")`))
    .replace(/^export \{([^}]*)\};$/m, (_, names) => names.split(',').map(exported).join(''));
  if (left !== 0) throw new Error(`${part}: esbuild writes its imports in another form`);
  return `${JSON.stringify(`./${part}`)}:(function(__exports,__import,__importLater){\n${body}})`;

  function imported(code) {
    left -= 1;
    return code;
  }
}

function exported(names) {
  const [inner, outer = inner] = names.trim().split(' as ');
  return `__exports.${outer}=${inner};`;
}
