import { statSync } from 'node:fs';
import { repair } from './enable.ts';
import type { Host } from './host.ts';
import { WATCHED } from './changes/systemd-units.ts';

type Repaired = Awaited<ReturnType<typeof repair>>;

/** Somebody who changes things for as long as that is no update of a package. */
const ROUNDS = 20;

/**
 * `repair`, again until a look at the host has found nothing to do and nothing has changed while it looked. systemd
 * does not watch while the service runs that a change has started, and a package update goes on changing things: what
 * it did meanwhile nobody would tell of.
 */
export async function repairUntilQuiet(
  open: () => Host,
  once: (host: Host) => Promise<Repaired> = repair,
): Promise<Repaired> {
  let all: Repaired | undefined;
  for (let round = 1; ; round += 1) {
    const host = open();
    const before = stamps(host);
    const done = await once(host);
    all = all === undefined ? done : joined(all, done);
    const isOver = done.written.length === 0 && stamps(host) === before;
    // What fails once fails again.
    if (isOver || done.failed.length + done.problems.length > 0 || round === ROUNDS) return all;
  }
}

/** When each path that the unit watches changed. */
function stamps(host: Host): string {
  return WATCHED.map((path) => statSync(host.at(path), { throwIfNoEntry: false, bigint: true })?.mtimeNs ?? 0n).join();
}

function joined(earlier: Repaired, later: Repaired): Repaired {
  const both = (key: 'written' | 'restart' | 'problems' | 'failed'): readonly string[] => [
    ...new Set([...earlier[key], ...later[key]]),
  ];
  return {
    written: both('written'),
    restart: both('restart'),
    problems: both('problems'),
    failed: both('failed'),
    attention: later.attention,
    replaced: [...earlier.replaced, ...later.replaced],
    resumed: earlier.resumed || later.resumed,
  };
}
