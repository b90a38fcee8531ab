import { RbdsrError } from '../base/error.ts';
import type { Change } from './changing/change.ts';
import { CHANGES } from './change-list.ts';
import type { Host } from './host.ts';
import { lostEntries } from './changing/lost-entries.ts';
import { pluggedSrs, type PluggedSr } from './plugged-srs.ts';
import type { LeftAlone } from './changing/restore.ts';
import { revertAll } from './changing/revert-all.ts';
import { lockHost } from './changing/run-changes.ts';

export interface Disabled {
  /** False where there was nothing to undo. */
  readonly wasEnabled: boolean;
  readonly left: readonly LeftAlone[];
  /** SRs that were plugged all the same, with `force`. */
  readonly plugged: readonly PluggedSr[];
  readonly problems: readonly string[];
}

/**
 * Puts the host back to what it was; where the journal was lost with /opt/rbdsr, by what is recognised as RBDSR's own.
 * 'sr-in-use' names the plugged SRs that need the driver, unless `force`.
 */
export async function disable(host: Host, force: boolean): Promise<Disabled> {
  await using _lock = await lockHost(host);
  const lost = host.journal.content === undefined ? lostEntries(host) : { entries: [], left: [] };
  if (host.journal.content === undefined && lost.entries.length === 0) {
    return { wasEnabled: false, left: lost.left, plugged: [], problems: [] };
  }
  const plugged = await pluggedSrs(host);
  if (plugged.length > 0 && !force) throw stillPlugged(plugged);
  const { left, problems } = await revertAll(host, { lost: lost.entries, tell: toSettle(host) });
  return { wasEnabled: true, left: [...lost.left, ...left], plugged, problems };
}

/** Whom to tell: of a run that was cut short it is not known what it took back, and whom it told. */
function toSettle(host: Host): readonly Change[] {
  const { content, entries } = host.journal;
  const had = (change: Change): boolean =>
    content?.state !== 'enabled' || entries.some((entry) => entry.change === change.name);
  return CHANGES.filter(had).toReversed();
}

function stillPlugged(plugged: readonly PluggedSr[]): RbdsrError {
  return new RbdsrError('sr-in-use', {
    what: 'SRs that need RBDSR are plugged on this host',
    found: plugged.map(({ label }) => label).join('; '),
    todo: 'Unplug their PBDs (xe pbd-unplug uuid=PBD) and try again, or use --force: then they cannot be unplugged before RBDSR is enabled again. Nothing was changed.',
  });
}
