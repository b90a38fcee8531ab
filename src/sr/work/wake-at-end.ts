import type { SrWork } from './work.ts';

/** Has the collector started when the command is answered, whose code most commands have no use for. */
export async function wakeAtEnd(work: SrWork): Promise<void> {
  if (work.settings.collect === 'by-hand') return;
  const { wakeCollector } = await import('./wake-collector.ts');
  work.atEnd(async () => wakeCollector(work));
}
