import { renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The worker's side of one call's directory; the other side, and the list of files, is `src/main/launcher.sh`. */
export interface CallDirectory {
  /**
   * The answer, once: the call's stdout and stderr. The launcher passes it on at once, even while this process cannot
   * end yet.
   */
  answer(stdout: string, stderr: string): void;
  /** The complete fault document the launcher gives if the deadline passes during the wait that begins now. */
  waitingFor(faultDocument: string): void;
  /** Whole seconds from the launcher's start until it answers for us. It may be raised later. */
  setDeadline(seconds: number): void;
  /**
   * The last thing this process does: removes the directory. The launcher has its files open and can read them to the
   * end.
   */
  finish(): void;
}

/** Undefined where the process was not started by the launcher (tests, a person). */
export function openCallDirectory(environment: NodeJS.ProcessEnv = process.env): CallDirectory | undefined {
  const directory = environment['RBDSR_CALL_DIR'];
  if (directory === undefined || directory === '') return undefined;
  const launcher = Number(environment['RBDSR_LAUNCHER_PID']);
  let answered = false;
  // It may hold secrets, and our stdin stays readable without its name.
  rmSync(join(directory, 'request'), { force: true });
  return {
    answer(stdout, stderr) {
      if (answered) return;
      answered = true;
      writeAll(1, stdout);
      writeAll(2, stderr);
      // A launcher that is gone may have left its number to another process; a parent keeps its own.
      if (process.ppid === launcher) process.kill(launcher, 'SIGUSR1');
    },
    waitingFor: (faultDocument) => replace(join(directory, 'late'), faultDocument),
    setDeadline: (seconds) => replace(join(directory, 'deadline'), `${Math.max(1, Math.round(seconds))}\n`),
    finish: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** stdout and stderr are files here, so a write does not wait for a reader. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/** In one step for a reader. The directory is memory (/run): nothing is gained by an fsync. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
