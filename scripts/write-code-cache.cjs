// `write-code-cache.cjs PROGRAM`: runs a worker for some commands on a host that is a folder, as far as they come
// there, and keeps what V8 has compiled by then: what is on the way of every command. V8 is told that the texts are
// where they will be on a host, and build.mjs starts it in its predictable mode, so that the caches are the same
// wherever and whenever they are made.
const { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { basename, join } = require('node:path');
const vm = require('node:vm');

const [, , program] = process.argv;
const isPlugin = basename(program) === 'plugin.cjs';
const COMMANDS = isPlugin ? ['pause', 'resume'] : ['sr_get_driver_info', 'vdi_attach', 'sr_scan'];

const root = mkdtempSync(join(tmpdir(), 'rbdsr-build-'));
mkdirSync(join(root, 'etc'));
writeFileSync(join(root, 'etc/xensource-inventory'), "PRODUCT_VERSION='8.3.0'\nINSTALLATION_UUID='build'\n");
process.env.RBDSR_ROOT = root;
delete process.env.RBDSR_CALL_DIR;

/** By file: compiled once for all the commands. */
const scripts = new Map();
const { Script } = vm;
vm.Script = function compiledOnce(text, { filename }) {
  // As bytes of its own: what V8 cuts out of a path it keeps with the whole path, which would be in the cache.
  const there = Buffer.from(`/opt/rbdsr/${basename(filename)}`).toString();
  const script = scripts.get(filename) ?? new Script(text, { filename: there });
  scripts.set(filename, script);
  return script;
};

// A worker ends the process where nothing is left of its command; here the next one follows.
process.exit = () => undefined;
const left = [...COMMANDS];
process.on('beforeExit', () => {
  const command = left.shift();
  if (command !== undefined) run(command);
});
process.once('exit', () => {
  rmSync(root, { recursive: true, force: true });
  const rest = program.replace(/\.cjs$/, '.rest.cjs');
  if (!scripts.has(rest)) vm.Script(readFileSync(rest, 'latin1'), { filename: rest });
  for (const [filename, script] of scripts) {
    writeFileSync(filename.replace(/\.cjs$/, '.cache'), script.createCachedData());
  }
});

function run(command) {
  process.argv.splice(2, Number.POSITIVE_INFINITY, request(command));
  delete require.cache[program];
  require(program);
}

function request(command) {
  const uuid = '00000000-0000-4000-8000-000000000000';
  if (isPlugin) {
    const members = `${member('sr_uuid', uuid)}${member('vdi_uuid', uuid)}`;
    return document(command, '<value>session</value>', `<value><struct>${members}</struct></value>`);
  }
  const given = { command, session_ref: 'session', sr_ref: 'sr', sr_uuid: uuid, vdi_ref: 'vdi', vdi_uuid: uuid };
  const members = Object.entries(given).map(([key, value]) => member(key, value));
  const config = member('device_config', `<struct>${member('SRmaster', 'true')}</struct>`);
  const args = member('args', '<array><data><value>true</value></data></array>');
  return document(command, `<value><struct>${members.join('')}${config}${args}</struct></value>`);
}

function document(method, ...params) {
  const all = params.map((value) => `<param>${value}</param>`);
  return `<methodCall><methodName>${method}</methodName><params>${all.join('')}</params></methodCall>`;
}

function member(key, value) {
  return `<member><name>${key}</name><value>${value}</value></member>`;
}
