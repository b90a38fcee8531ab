import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { check, runProgram } from '../machine/program.ts';
import { type CpioEntry, FOLDER, LINK, PROGRAM } from '../hosts/cpio.ts';

/** Debian packages of which dom0 runs something for every storage command. */
const PACKAGES =
  'bash coreutils dash dmsetup findutils grep gzip kmod libc-bin lvm2 mawk mount nbd-client procps sed tar udev util-linux';

/** What those programs read each time. */
const SETTINGS =
  '/etc/ld.so.cache /etc/nsswitch.conf /etc/passwd /etc/group /etc/lvm /etc/udev /usr/lib/udev/rules.d /usr/lib/locale/C.utf8';

/**
 * What dom0 keeps in memory of this machine, below `folder` of an initrd: the programs of those packages, their shared
 * libraries and settings, and every link on the way to one. To open a file over 9p takes an emulated host several round
 * trips, and one LVM command opens thirty.
 */
export async function localFiles(folder: string): Promise<CpioEntry[]> {
  const listed = await check(['dpkg-query', '-L', ...PACKAGES.split(' ')]);
  const programs = [...new Set(listed.split('\n'))].filter(
    (path) => /^\/(usr\/)?(s?bin|lib\/udev)\//.test(path) && !/\/(rules\.d|hwdb\.d)\b/.test(path),
  );
  // ldd ends badly where one of them is a script.
  const { stdout } = await runProgram(['ldd', ...programs]);
  const libraries = [...stdout.matchAll(/(?:^\t|=> )(\/\S+) \(/gm)].map(([, path = '']) => path);
  const entries = new Map<string, CpioEntry>();
  for (const path of [...programs, ...libraries, ...SETTINGS.split(' ').flatMap(filesBelow)])
    addWithLinks(path, folder, entries);
  return [...entries.values()];
}

function filesBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
}

function addWithLinks(path: string, folder: string, entries: Map<string, CpioEntry>): void {
  let at = '/';
  const rest = path.split('/').filter(Boolean);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    at = join(at, name);
    const facts = lstatSync(at, { throwIfNoEntry: false });
    if (facts === undefined) return;
    const to = folder + at;
    if (facts.isSymbolicLink()) {
      const target = readlinkSync(at);
      entries.set(to, { path: to, mode: LINK, data: Buffer.from(target) });
      rest.unshift(...resolve(dirname(at), target).split('/').filter(Boolean));
      at = '/';
    } else if (facts.isDirectory()) entries.set(to, { path: to, mode: FOLDER });
    else if (facts.isFile()) entries.set(to, { path: to, mode: PROGRAM, data: readFileSync(at) });
  }
}
