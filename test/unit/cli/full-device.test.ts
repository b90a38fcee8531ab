import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { usePlugin } from '../sm/plugin-process.ts';

const plugin = usePlugin();

test.each([['version'], ['mappings'], ['--help']])(
  'rbdsr %s, its output on a full disk: a sentence and exit code 1',
  async (...argv) => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [plugin.file('cli.cjs'), ...argv], {
      env: { PATH: '/usr/bin:/bin', RBDSR_ROOT: plugin.host('8.3b') },
      stdio: ['ignore', full, 'pipe'],
    });
    const [stderr, [code]] = await Promise.all([text(child.stdio[2] ?? Readable.from([])), once(child, 'close')]);
    closeSync(full);
    expect(stderr).toMatch(/^rbdsr: the output cannot be written \(ENOSPC\)/m);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(1);
  },
);
