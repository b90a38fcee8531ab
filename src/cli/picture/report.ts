import { type FileHandle, open, stat } from 'node:fs/promises';
import { RbdsrError } from '../../base/error.ts';
import { srFindings } from '../../picture/fsck/find-all.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { verdict } from './fsck-text.ts';
import { PAGE_START, reportPage } from './html/page.ts';
import { type LookOptions, takePicture } from './look.ts';
import { shown } from './shown.ts';

export interface ReportOptions extends LookOptions {
  readonly html?: string;
}

/** `rbdsr report`: the picture and what is wrong with it, as a page in a file. Exit codes as those of fsck. */
export async function reportSr(call: CliCall, sr: string | undefined, o: ReportOptions): Promise<number> {
  if (o.html === undefined && o.json !== true) {
    throw new RbdsrError('invalid-argument', { what: 'it is not said where to', expected: '--html FILE, or --json' });
  }
  const picture = await takePicture(call, sr, o, 'watchers');
  const findings = srFindings(picture);
  if (o.html !== undefined) await writePage(o.html, reportPage(picture, findings, call.versionLine));
  if (o.json === true) call.print(jsonText({ findings, picture }));
  else call.print(`${verdict(picture, findings)}\nThe page is in ${shown(o.html ?? '')}.\n`);
  return findings.length > 0 || picture.missing.some(({ wanted }) => wanted) ? 1 : 0;
}

/** A new file, or in the place of an earlier page: never over a disk that was named by mistake. */
async function writePage(path: string, page: string): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, 'wx', 0o644).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return earlierPage(path);
      throw error;
    });
  } catch (error) {
    throw error instanceof RbdsrError ? error : cannotWrite(path, error);
  }
  try {
    await file.truncate(0);
    await file.write(page, 0);
  } finally {
    await file.close();
  }
}

/** A device is not even opened: closing one that may be written to makes udev look into it. */
async function earlierPage(path: string): Promise<FileHandle> {
  const file = (await stat(path)).isFile() ? await open(path, 'r+') : undefined;
  const start = Buffer.alloc(PAGE_START.length);
  const bytes = (await file?.read(start, 0, start.length, 0))?.bytesRead;
  if (file !== undefined && bytes === start.length && start.toString('latin1') === PAGE_START) return file;
  await file?.close();
  throw new RbdsrError('invalid-argument', {
    what: `${path} is there, and is no page of an earlier report`,
    expected: 'a new file, or such a page',
  });
}

function cannotWrite(path: string, cause: unknown): RbdsrError {
  const found = (cause as NodeJS.ErrnoException).code ?? 'an error';
  return new RbdsrError('io', { what: `${path} cannot be written`, found, cause });
}
