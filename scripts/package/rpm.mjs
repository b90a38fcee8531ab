// The RPM of a tree, readable by rpm 4.4: packaging/rbdsr.spec says what that takes. `node rpm.mjs TREE VERSION FILE`,
// for tests: that of any tree; package.mjs uses the function.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { project } from '../setup.mjs';

const packaging = join(project, 'packaging');
const spec = join(packaging, 'rbdsr.spec');

/** `tree` is the root of a host with nothing but the product in it; `work` is a folder for rpmbuild. */
export function writeRpm(file, { version, tree, work, date }) {
  const seconds = String(date.getTime() / 1000);
  const settings = {
    _topdir: work,
    _rpmdir: join(work, 'out'),
    _binary_payload: 'w6.gzdio',
    _binary_filedigest_algorithm: '1',
    _buildhost: 'rbdsr',
    _build_id_links: 'none',
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    rbdsr_version: version,
    rbdsr_tree: tree,
    rbdsr_packaging: packaging,
  };
  const defines = Object.entries(settings).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  mkdirSync(work, { recursive: true });
  execFileSync('rpmbuild', ['-bb', '--quiet', '--nodeps', '--target', 'x86_64-linux', ...defines, spec], {
    cwd: work,
    env: { PATH: process.env.PATH, HOME: work, LC_ALL: 'C', SOURCE_DATE_EPOCH: seconds },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const folder = join(work, 'out/x86_64');
  const [made] = readdirSync(folder);
  renameSync(join(folder, made), file);
  rmSync(work, { recursive: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tree, version, file] = process.argv.slice(2);
  writeRpm(file, { version, tree, work: `${file}.work`, date: new Date(0) });
}
