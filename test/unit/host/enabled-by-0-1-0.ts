import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { enable } from '../../../src/installer/enable.ts';
import { fingerprint, readState } from '../../../src/installer/changing/path-state.ts';
import type { JournalContent } from '../../../src/installer/changing/journal.ts';
import type { HostFixture } from './host-fixture.ts';

const SM = '/opt/xensource/sm';
const STOCK = '/opt/rbdsr/stock';

/**
 * What `rbdsr enable` of version 0.1.0 leaves: the entry leads into /opt/rbdsr, where the stock entry is kept as well,
 * every link absolute. The rest is as it is today.
 */
export async function enableAs010(host: HostFixture): Promise<void> {
  await enable(host.open('0.1.0'));
  formerState(host);
  const file = host.at('/opt/rbdsr/state/changes.json');
  const journal = JSON.parse(readFileSync(file, 'utf8')) as JournalContent;
  const entry = journal.entries.find(({ path }) => path === `${SM}/LVMoISCSISR`);
  if (entry === undefined) throw new Error('the host has no such entry');
  mkdirSync(host.at(STOCK));
  const kept = host.at(`${STOCK}/LVMoISCSISR`);
  if (entry.found.kind === 'link') symlinkSync(resolve(SM, entry.found.target), kept);
  else renameSync(host.at(`${SM}/rbdsr-stock-program`), kept);
  rmSync(host.at(`${SM}/rbdsr-stock`), { recursive: true });
  rmSync(host.at(`${SM}/rbdsr-divert.py`));
  rmSync(host.at(`${SM}/LVMoISCSISR`));
  symlinkSync('/opt/rbdsr/divert.py', host.at(`${SM}/LVMoISCSISR`));
  const absent = { change: 'divert', found: { kind: 'absent' } } as const;
  const entries = [
    ...journal.entries.filter(({ change }) => change !== 'divert'),
    { ...absent, path: STOCK, wrote: ['folder'] },
    { ...absent, path: `${STOCK}/LVMoISCSISR`, wrote: [fingerprint(readState(kept))] },
    { ...entry, wrote: ['link /opt/rbdsr/divert.py'] },
  ];
  writeFileSync(file, JSON.stringify({ ...journal, entries }));
}

/** The record and the copies of files where every version had them until 0.1.0, and those after it in the beginning. */
export function formerState(host: HostFixture): void {
  rmSync(host.at('/opt/rbdsr/state'), { recursive: true });
  renameSync(host.at('/var/lib/rbdsr'), host.at('/opt/rbdsr/state'));
}
