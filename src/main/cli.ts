import { runCli } from '../cli/program.ts';
import { versionLine } from './version.ts';

// The operator's command. RBDSR_ROOT, for tests, is a prefix of every path of the host. A reader that leaves early (`| head`) is no error.
const { stdout, stderr } = process;
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
void runCli(process.argv.slice(2), { versionLine, root: process.env['RBDSR_ROOT'] ?? '', stdout, stderr }).then(
  (code) => {
    process.exitCode = code;
  },
);
