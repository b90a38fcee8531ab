import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDir, writeFileAtomic } from '../system/files.ts';
import { type Host, STATE_DIR } from './host.ts';

/**
 * Replaces a file in one step, so that there is no moment without one. The new file is made in a folder of ours and not beside the old one:
 * xapi reads whatever lies in /etc/xapi.conf.d, and takes whatever ends in "SR" in /opt/xensource/sm for a driver.
 */
export function stageFile(
  host: Host,
  data: string | Uint8Array,
  mode: number,
  file: string,
  dress: (staged: string) => void,
): void {
  const staged = stagedName(host);
  writeFileAtomic(staged, data, mode);
  dress(staged);
  move(staged, file);
}

export function stageLink(host: Host, target: string, file: string): void {
  const staged = stagedName(host);
  symlinkSync(target, staged);
  move(staged, file);
}

/** Takes away what a killed process left. */
export function clearStage(host: Host): void {
  rmSync(host.at(STAGE), { recursive: true, force: true });
}

const STAGE = `${STATE_DIR}/stage`;

function stagedName(host: Host): string {
  ensureDir(host.at(STAGE), 0o700);
  return join(host.at(STAGE), randomBytes(8).toString('hex'));
}

function move(staged: string, file: string): void {
  renameSync(staged, file);
}
