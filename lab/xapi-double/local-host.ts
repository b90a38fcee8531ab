import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import type { HostPort } from './host-port.ts';

/**
 * This machine as every host of the pool: programs are run here. `pathOf` may put them elsewhere than a host has them.
 */
export function localHost(pathOf: (program: string) => string = (program) => program): HostPort {
  return {
    exec: async (_hostUuid, program, argument) =>
      new Promise((resolve, reject) => {
        const options = { env: { PATH: process.env['PATH'] ?? '' }, maxBuffer: 16 << 20 };
        execFile(pathOf(program), [argument], options, (error, stdout, stderr) => {
          if (error === null) resolve({ stdout, stderr, code: 0 });
          else if (typeof error.code === 'number') resolve({ stdout, stderr, code: error.code });
          else if (error.signal) resolve({ stdout, stderr, code: 128 + constants.signals[error.signal] });
          else reject(error);
        });
      }),
  };
}
