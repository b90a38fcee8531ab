// `node self-extractor.mjs TREE VERSION FILE`, for tests: one self-extracting file of any tree. package.mjs uses the
// function.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { project } from '../setup.mjs';
import { tarEnd, tarGzip } from './archive.mjs';

/** `archives` are what tarGzip makes; `unpackedBytes` is the room they take. */
export function writeSelfExtractor(file, { version, build, archives, unpackedBytes }) {
  const payload = Buffer.concat([...archives, tarEnd()]);
  const facts = {
    VERSION: version,
    BUILD: build,
    BYTES: payload.length,
    CRC: execFileSync('cksum', { input: payload, encoding: 'utf8' }).split(' ')[0],
    SHA256: createHash('sha256').update(payload).digest('hex'),
    UNPACKED_KIB: Math.ceil(unpackedBytes / 1024) + 2048,
  };
  const part = (name) => readFileSync(join(project, 'packaging', name), 'utf8');
  const template = part('installer.sh').replace('@INSTALLED@\n', () => part('installed.sh'));
  const script = header(template, facts);
  const fresh = `${file}.new-${process.pid}`;
  writeFileSync(fresh, Buffer.concat([Buffer.from(script), payload]));
  chmodSync(fresh, 0o755);
  renameSync(fresh, file);
}

/** The script says where it ends itself, which changes its length at most once. */
function header(template, facts) {
  let script = '';
  let length;
  do {
    length = Buffer.byteLength(script);
    script = Object.entries({ ...facts, FIRST: length + 1 }).reduce(
      (text, [name, value]) => text.replaceAll(`@${name}@`, String(value)),
      template,
    );
  } while (Buffer.byteLength(script) !== length);
  return script;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tree, version, file] = process.argv.slice(2);
  const archive = tarGzip(tree, new Date(0));
  const build = `${version}-${createHash('sha256').update(archive).digest('hex').slice(0, 8)}`;
  writeSelfExtractor(file, { version, build, archives: [archive], unpackedBytes: 2 ** 20 });
}
