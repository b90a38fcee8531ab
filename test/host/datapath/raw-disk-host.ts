import { writeFileSync } from 'node:fs';
import { NbdHost } from './nbd-host.ts';
import { nbdProgram } from './nbd-program.ts';

/** A host with the server that ships, and a raw disk of zeroes for it. */
export function rawDiskHost(sizeBytes: number): { readonly it: NbdHost; readonly disk: string } {
  const it = new NbdHost(nbdProgram());
  const disk = it.path('disk.raw');
  writeFileSync(disk, Buffer.alloc(sizeBytes));
  return { it, disk };
}
