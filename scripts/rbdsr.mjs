// `npm run -s rbdsr -- ARGUMENT...`: the operator's command from a clone, as if it were installed. Prints nothing of
// its own unless the build fails.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { project, setUp } from './setup.mjs';

try {
  setUp({ only: ['modules', 'build'], quiet: true });
} catch (error) {
  process.stderr.write(`rbdsr: ${error.message}\n`);
  process.exit(1);
}
const child = spawn(process.execPath, [join(project, 'build/dom0/cli.cjs'), ...process.argv.slice(2)], {
  // npm runs scripts in the project's folder; file names are meant from where npm was called.
  cwd: process.env.INIT_CWD ?? process.cwd(),
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('close', (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal];
});
