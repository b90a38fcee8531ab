import { runCli } from '../cli/program.ts';
import { versionLine } from './version.ts';

// The operator's command. RBDSR_ROOT, for tests, is a prefix of every path of the host. A reader that leaves early (`|
// head`) is no error.
const { stdin, stdout, stderr } = process;
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  stderr.write(
    `rbdsr: the output cannot be written (${error.code ?? error.message}); what there is of it is not all.\n`,
  );
  process.exit(1);
});
stderr.on('error', () => process.exit(1));
void runCli(process.argv.slice(2), { versionLine, root: process.env['RBDSR_ROOT'] ?? '', stdin, stdout, stderr }).then(
  (code) => {
    process.exitCode = code;
  },
);
