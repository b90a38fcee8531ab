// Starts the program whose parts lie beside it: NAME.first.cjs, what most commands need, and NAME.rest.cjs, read where
// a command comes to need it; each with what V8 compiled of it at build time, .cache. V8 checks that a cache was made
// from a text of this length by the same version of V8, and compiles as usual where it was not.
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const name = __filename.replace(/\.cjs$/, '');
const url = `file://${encodeURI(__filename)}`;
const first = partsOf('first');
let rest;
const evaluated = new Map();

evaluate('./main.js');

function evaluate(part) {
  const known = evaluated.get(part);
  if (known !== undefined) return known;
  const made = {};
  evaluated.set(part, made);
  (first[part] ?? (rest ??= partsOf('rest'))[part])(made, requireOrEvaluate, evaluateLater);
  return made;
}

function requireOrEvaluate(wanted) {
  return wanted.startsWith('./') ? evaluate(wanted) : require(wanted);
}

async function evaluateLater(part) {
  return evaluate(part);
}

function partsOf(which) {
  const filename = `${name}.${which}.cjs`;
  // The text is ASCII: esbuild writes no other.
  const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData: cacheOf(which) });
  return script.runInThisContext()(url);
}

function cacheOf(which) {
  try {
    return readFileSync(`${name}.${which}.cache`);
  } catch {
    return undefined;
  }
}
