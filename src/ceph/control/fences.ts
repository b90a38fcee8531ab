import { hasCode } from '../../base/error.ts';
import { exitErrno } from './tools/ceph-tool-errors.ts';
import type { Fence } from './control-plane.ts';
import { list, parse, string } from './tools/ceph-tool-json.ts';

/**
 * `ceph osd blocklist ls`. Where ranges of addresses can be fenced, as in 16.2.15, two lists stand one behind the
 * other; an entry of the second has its address under another name (ceph `src/mon/OSDMonitor.cc`, preprocess_command).
 */
export function decodeFences(text: string): readonly Fence[] {
  const command = 'ceph osd blocklist ls';
  const lists = text.trim().split(/(?<=\])\s*(?=\[[\]{])/);
  return lists
    .flatMap((one) => list(parse(one, command), command))
    .map((entry) => ({
      client: string(entry, Object.hasOwn(entry, 'addr') ? 'addr' : 'range', command),
      until: string(entry, 'until', command),
    }));
}

/** Clusters before 16 call it blacklist: `ask` is told the name, and asked again where the first is not known. */
export async function byEitherName<T>(ask: (name: 'blocklist' | 'blacklist') => Promise<T>): Promise<T> {
  try {
    return await ask('blocklist');
  } catch (error) {
    if (!hasCode(error, 'control-plane-failed') || exitErrno(error) !== 'EINVAL') throw error;
    return ask('blacklist');
  }
}
