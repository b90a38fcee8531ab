// The RPM of a tree, readable by rpm 4.4, and the source package it can be made of again: packaging/rbdsr.spec says
// what that takes. `node rpm.mjs TREE VERSION FILE`, for tests: the RPM of any tree; package.mjs uses the function.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { specText } from './spec.mjs';

/**
 * `spec` is what specText returns; `tree` is the root of a host with nothing but the product in it; `work` is a folder
 * for rpmbuild, with the archives in its folder SOURCES where `sourceFile` is to be written too.
 */
export function writeRpm(file, { spec, tree, work, date, sourceFile }) {
  const settings = {
    _topdir: work,
    _buildhost: 'rbdsr',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
  };
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'rbdsr.spec'), spec);
  utimesSync(join(work, 'rbdsr.spec'), date, date);
  const rpmbuild = (what, more) => {
    const defines = Object.entries({ ...settings, ...more }).flatMap(([name, value]) => [
      '--define',
      `${name} ${value}`,
    ]);
    execFileSync('rpmbuild', [what, '--quiet', '--nodeps', '--target', 'x86_64-linux', ...defines, 'rbdsr.spec'], {
      cwd: work,
      env: { PATH: process.env.PATH, HOME: work, LC_ALL: 'C', SOURCE_DATE_EPOCH: String(date.getTime() / 1000) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };
  rpmbuild('-bb', { rbdsr_tree: tree });
  renameSync(join(work, 'RPMS/x86_64', onlyIn(join(work, 'RPMS/x86_64'))), file);
  if (sourceFile !== undefined) {
    // It keeps the scripts with their folders in them: a name that is the same everywhere.
    rpmbuild('-bs', { _topdir: '/proc/self/cwd' });
    renameSync(join(work, 'SRPMS', onlyIn(join(work, 'SRPMS'))), sourceFile);
  }
  rmSync(work, { recursive: true });
}

function onlyIn(folder) {
  const [name] = readdirSync(folder);
  return name;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tree, version, file] = process.argv.slice(2);
  // Behind every entry of the changelog, as rpm wants it.
  const date = new Date('2037-01-01');
  const parts = [{ name: 'small', version, spdx: 'LGPL-2.1-only' }];
  writeRpm(file, { spec: specText({ version, release: '1', date, parts }), tree, work: `${file}.work`, date });
}
