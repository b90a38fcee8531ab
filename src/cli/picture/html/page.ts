import type { SrFinding } from '../../../picture/fsck/finding.ts';
import { forestOf } from '../../../picture/forest.ts';
import type { Picture } from '../../../picture/picture.ts';
import { nameOfSr, placeText } from '../facts.ts';
import { chainsDrawing } from './chains-drawing.ts';
import { apart, html } from './escape.ts';
import {
  healthSection,
  hostsSection,
  keysSection,
  mappingsSection,
  roomSection,
  useSection,
  watchersSection,
} from './sections.ts';
import { POLICY, STYLE } from './style.ts';

/** How every page of ours begins: nothing else is ever replaced by one. */
export const PAGE_START = '<!doctype html>\n<!-- rbdsr report -->\n';

/** An SR as one page that needs nothing beside it. Pure. */
export function reportPage(picture: Picture, findings: readonly SrFinding[], versionLine: string): string {
  const forest = forestOf(picture);
  const title = `SR ${picture.sr}${nameOfSr(picture)}`;
  const page = html`<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width">
<title>${title}</title><style>${{ html: STYLE }}</style></head><body>
<h1>${apart(title)}</h1>
<p>on ${apart(placeText(picture))}</p>
<p class="dim">looked at ${picture.takenAt}, RBDSR ${versionLine.replace('Version : ', '')}</p>
${healthSection(picture, findings)}
${roomSection(picture, forest)}
<h2>Chains</h2>
${picture.disks === undefined ? html`<p>The image could not be read.</p>` : chainsDrawing(picture, forest)}
${useSection(picture, forest)}
${hostsSection(picture)}
${keysSection(picture)}
${mappingsSection(picture)}
${watchersSection(picture)}
</body></html>
`;
  return `${PAGE_START}${page.html}`;
}
