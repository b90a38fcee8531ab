// `write-code-cache.cjs BUNDLE CACHE`: runs the plug-in's bundle once, for sr_get_driver_info on a host that is a
// folder, and keeps what V8 has compiled by then: decoding, the host's profile and encoding are on the way of every
// command. The bundle is told that it is where it will be on a host, and build.mjs starts V8 in its predictable mode,
// so that the cache is the same wherever and whenever it is made.
const { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { tmpdir } = require('node:os');
const { basename, join } = require('node:path');
const { Script } = require('node:vm');

const [bundle, cache] = process.argv.splice(2, 2, request('sr_get_driver_info'));
const root = mkdtempSync(join(tmpdir(), 'rbdsr-build-'));
mkdirSync(join(root, 'etc'));
writeFileSync(join(root, 'etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='build'\n");
process.env.RBDSR_ROOT = root;
delete process.env.RBDSR_CALL_DIR;
const installed = `/opt/rbdsr/${basename(bundle)}`;
const script = new Script(wrap(readFileSync(bundle, 'utf8')), { filename: installed });
process.once('exit', () => {
  writeFileSync(cache, script.createCachedData());
  rmSync(root, { recursive: true, force: true });
});
script.runInThisContext().call(exports, exports, require, module, installed, '/opt/rbdsr');

function request(command) {
  const members = `<member><name>command</name><value>${command}</value></member><member><name>args</name><value><array><data/></array></value></member>`;
  return `<methodCall><methodName>${command}</methodName><params><param><value><struct>${members}</struct></value></param></params></methodCall>`;
}
