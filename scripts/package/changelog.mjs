// The %changelog of the RPM, of CHANGELOG.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../setup.mjs';

/**
 * What is not released yet is this build's; of a version that was, its heading names the day (`## X.Y.Z, 2026-01-31`).
 */
export function changelogEntries({ version, release, date }) {
  const [, ...sections] = readFileSync(join(project, 'CHANGELOG.md'), 'utf8').split(/^## /m);
  return sections
    .map((section) => {
      const [heading, ...lines] = section.split('\n');
      const [of, day] = heading.split(', ');
      const isThis = of === 'Unreleased' || (of === version && !sections[0].startsWith('Unreleased'));
      if (!isThis && day === undefined) throw new Error(`CHANGELOG.md does not say when ${of} was released`);
      const head = `* ${dayOf(isThis ? date : new Date(day))} ${AUTHOR} - ${isThis ? `${version}-${release}` : of}`;
      return `${head}\n${lines
        .map(plain)
        .filter((line) => line !== '')
        .join('\n')}\n`;
    })
    .join('\n');
}

const AUTHOR = 'RBDSR maintainers';

/** "Mon Nov 30 2026", in UTC. */
function dayOf(date) {
  const [weekday, day, month, year] = date.toUTCString().replace(',', '').split(' ');
  return `${weekday} ${month} ${day} ${year}`;
}

/** Without Markdown's signs. */
function plain(line) {
  return line
    .trimEnd()
    .replaceAll('**', '')
    .replaceAll('`', '')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}
