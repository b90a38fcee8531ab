// packaging/rbdsr.spec with everything in it that rpm has to be told, so that the source package needs nothing beside
// its two archives.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../setup.mjs';
import { changelogEntries } from './changelog.mjs';

/** `parts` are what partsOf (licences.mjs) returns. */
export function specText({ version, release, date, parts }) {
  const read = (name) => readFileSync(join(project, 'packaging', name), 'utf8').trimEnd();
  const enabled = read('enabled-paths.txt').split('\n');
  const { homepage } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  const url = process.env.RBDSR_URL ?? homepage;
  const facts = {
    VERSION: version,
    RELEASE: release,
    LICENCE: licenceOf(parts),
    URL:
      url === undefined
        ? '# No address of the project is known: RBDSR_URL, or "homepage" in package.json.'
        : `URL: ${url}`,
    VENDOR: process.env.RBDSR_VENDOR ?? 'RBDSR',
    BUNDLED: parts
      .flatMap(({ bundled, version: of }) => (bundled === undefined ? [] : `Provides: bundled(${bundled}) = ${of}`))
      .join('\n'),
    EPOCH: String(date.getTime() / 1000),
    ENABLED: enabled.join(' '),
    GHOSTS: enabled.map((path) => `%ghost %config ${path}`).join('\n'),
    INSTALLED: read('installed.sh').replaceAll('%', '%%'),
    CHANGELOG: changelogEntries({ version, release, date }).replaceAll('%', '%%'),
  };
  return `${Object.entries(facts).reduce((text, [name, value]) => text.replaceAll(`@${name}@`, () => value), read('rbdsr.spec'))}\n`;
}

/** One SPDX expression of all that is in the package. */
function licenceOf(parts) {
  const single = parts.flatMap(({ spdx }) => spdx.split(' AND '));
  return [...new Set(single)].join(' AND ');
}
