// A folder as tar in gzip, the same bytes wherever and whenever it is made, for GNU tar 1.15 and gzip 1.3.
import { execFileSync } from 'node:child_process';

/**
 * The folder's content, each file as of `date`, owned by root. The two empty blocks that end a tar are left out, so
 * that several of these in a row are one archive; `tarEnd` ends it.
 */
export function tarGzip(folder, date) {
  const names = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=go=rX,u+w', '--format=ustar'];
  const tar = execFileSync(
    'tar',
    ['-cf', '-', '--blocking-factor=1', `--mtime=@${date.getTime() / 1000}`, ...names, '.'],
    {
      cwd: folder,
      maxBuffer: LARGEST,
    },
  );
  return gzip(tar.subarray(0, -1024));
}

export function tarEnd() {
  return gzip(Buffer.alloc(1024));
}

const LARGEST = 2 ** 30;

/** GNU gzip and not zlib, whose output differs from one processor to another where it is tuned for them. */
function gzip(data) {
  return execFileSync('gzip', ['-6nc'], { input: data, maxBuffer: LARGEST });
}
