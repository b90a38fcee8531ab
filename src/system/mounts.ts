import { readFileSync } from 'node:fs';

/** One line of mountinfo, proc_pid_mountinfo(5). Reading it asks no file system anything. */
export interface Mount {
  readonly id: number;
  /** Of the file system's device, "8:1". */
  readonly device: string;
  readonly point: string;
  /** "ext4", "nfs4", "fuse.sshfs". */
  readonly type: string;
}

/** The mounts that `pid` sees; none where the process has ended. */
export function mountsOf(pid: number | 'self'): readonly Mount[] {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').flatMap(parseMount);
  } catch {
    return [];
  }
}

/** Optional fields, as many as the kernel likes, end at a lone "-". */
function parseMount(line: string): readonly Mount[] {
  const fields = line.split(' ');
  const [id, , device, , point] = fields;
  const type = fields[fields.indexOf('-', 6) + 1];
  if (id === undefined || device === undefined || point === undefined || type === undefined) return [];
  return [{ id: Number(id), device, point: point.replaceAll(/\\([0-7]{3})/g, octal), type }];
}

function octal(_escape: string, digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 8));
}

/** What may hold device nodes and answers a stat from memory, whatever has become of a disk or a server. */
const PROMPT_TYPES: ReadonlySet<string> = new Set([
  'devtmpfs',
  'tmpfs',
  'ramfs',
  'rootfs',
  'ext2',
  'ext3',
  'ext4',
  'xfs',
  'btrfs',
]);

/**
 * False for what asks a server or a program of somebody (NFS, SMB, FUSE, overlays of them): it may be gone, and then
 * never answers.
 */
export function isPrompt({ type }: Pick<Mount, 'type'>): boolean {
  return PROMPT_TYPES.has(type);
}
