import { readFileSync, readdirSync } from 'node:fs';
import { filesChange } from '../changing/change.ts';
import { configurationText } from './configuration-text.ts';
import { followLinks } from './find-in-root.ts';
import type { Host } from '../host.ts';
import { processesCalled } from '../host-processes.ts';
import { withBlock, withoutBlock } from '../changing/marked-block.ts';
import { BLACKLIST_HEAD, keepsAwayFromRbd } from './multipath-rules.ts';
import { readState } from '../changing/path-state.ts';
import type { Plan } from '../changing/placement.ts';

/**
 * multipathd never takes an RBD image for a path: in a file of our own where the host has a folder for those, else in
 * its one file.
 */
export const multipath = filesChange({
  name: 'multipath',
  describe: 'keeps multipathd away from RBD images',
  plan,
  // It reads its configuration when it starts, and where it does not run the command fails.
  settle: (host) => (processesCalled(host, 'multipathd').length > 0 ? [['/sbin/multipathd', '-kreconfigure']] : []),
});

const MAIN = '/etc/multipath.conf';
const FOLDER = '/etc/multipath/conf.d';
const OURS = `${FOLDER}/rbdsr.conf`;
const LINE = 'devnode "^rbd[0-9]*"';

function plan(host: Host): Plan {
  const main = followLinks(host, MAIN);
  const state = readState(host.at(main));
  const hasFolder = host.has(FOLDER);
  const text = state.kind === 'file' ? readFileSync(host.at(main), 'utf8') : '';
  const others = [withoutBlock(text) ?? text, ...(hasFolder ? otherFiles(host) : [])];
  if (others.some(keepsAwayFromRbd)) return { placements: [], notNeeded: 'its configuration blacklists them already' };
  if (hasFolder) {
    const data = `# Written by RBDSR.\nblacklist {\n\t${LINE}\n}\n`;
    return { placements: [{ path: OURS, want: { kind: 'file', data, mode: 0o644 }, owner: 'ours' }] };
  }
  if (state.kind !== 'file') return { placements: [], notNeeded: `this host has no ${MAIN}` };
  const data = BLACKLIST_HEAD.test(text)
    ? withBlock(text, [LINE], BLACKLIST_HEAD, '\t')
    : withBlock(text, ['blacklist {', `\t${LINE}`, '}']);
  return {
    placements: [{ path: main, want: { kind: 'file', data, mode: state.mode }, owner: 'theirs', block: true }],
  };
}

function otherFiles(host: Host): readonly string[] {
  const names = readdirSync(host.at(FOLDER)).filter((name) => name.endsWith('.conf') && `${FOLDER}/${name}` !== OURS);
  return names.map((name) => configurationText(host, `${FOLDER}/${name}`));
}
