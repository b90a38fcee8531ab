// Starts the bundle beside it, NAME.bundle.cjs, with what V8 compiled of it at build time, NAME.cache. V8 checks that
// the cache was made from this very text by the same version of V8, and compiles as usual where it was not.
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { Script } = require('node:vm');

const filename = __filename.replace(/\.cjs$/, '.bundle.cjs');
new Script(wrap(readFileSync(filename, 'utf8')), { filename, cachedData: cache() })
  .runInThisContext()
  .call(exports, exports, require, module, filename, __dirname);

function cache() {
  try {
    return readFileSync(__filename.replace(/\.cjs$/, '.cache'));
  } catch {
    return undefined;
  }
}
