import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { messageOf } from '../../base/error.ts';
import { thisNode } from '../../system/this-node.ts';
import { collectorAtWork, orderCollection } from './collector-lock.ts';
import { srOf } from './subject.ts';
import type { SrWork } from './work.ts';

/**
 * What a command on the SR master has left to collect is collected by a process of its own, which outlives the command
 * and which nobody waits for (cli/sr/gc-by-itself.ts, in the bundle beside this one). One that is at work already looks
 * again before it ends. Never fails: the next scan finds the same work.
 */
export function wakeCollector(work: SrWork): void {
  const { subject, profile, log } = work;
  if (!subject.srMaster || subject.srRef === undefined) return;
  const sr = srOf(work);
  try {
    orderCollection(profile.paths, sr);
    if (collectorAtWork(profile.paths, sr) !== undefined) return;
    const [node = '', ...first] = thisNode();
    const cli = `${dirname(process.argv[1] ?? '')}/cli.cjs`;
    const child = spawn(node, [...first, cli, 'gc', sr, '--by-itself'], {
      detached: true,
      cwd: '/',
      stdio: 'ignore',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...inherited() },
    });
    child.on('error', (error) => log.warn(`SR ${sr}: no collector was started: ${error.message}`));
    child.unref();
  } catch (error) {
    log.warn(`SR ${sr}: no collector was started: ${messageOf(error)}`);
  }
}

/** What tests set. */
function inherited(): Record<string, string> {
  const { RBDSR_ROOT: root, RBDSR_FAULT_GC: fault } = process.env;
  return {
    ...(root === undefined ? {} : { RBDSR_ROOT: root }),
    ...(fault === undefined ? {} : { RBDSR_FAULT: fault }),
  };
}
