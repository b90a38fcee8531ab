// The release of a package (rbdsr-VERSION-RELEASE.x86_64.rpm), so that one build of a version replaces another.
import { execFileSync } from 'node:child_process';
import { project } from '../setup.mjs';

/**
 * RBDSR_RELEASE, where whoever builds sets it; else how many commits there are since the one that set the version, that
 * one counted; 1 where this is no clone with that history.
 */
export function releaseNumber(given = process.env.RBDSR_RELEASE) {
  if (given !== undefined && given !== '') {
    if (/^[0-9][A-Za-z0-9._+~]*$/.test(given)) return given;
    throw new Error(`RBDSR_RELEASE is "${given}"; expected a digit, then digits, letters, dots, _, + and ~`);
  }
  try {
    const since = git('log', '-1', '--format=%H', '-G"version": ', '--', 'package.json').trim();
    return since === '' ? '1' : String(Number(git('rev-list', '--count', `${since}..HEAD`)) + 1);
  } catch {
    return '1';
  }
}

function git(...args) {
  return execFileSync('git', ['-c', `safe.directory=${project}`, ...args], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
