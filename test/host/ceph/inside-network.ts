import { closeSync, openSync } from 'node:fs';
import { systemCall } from '../../../src/system/libc/system-call.ts';

/** By its number on x86-64. */
const SETNS = { name: 'setns', number: 308 };
const CLONE_NEWNET = 0x40000000;

/**
 * From here on this process opens its sockets, and starts its programs, in the named network namespace (setns(2) acts
 * on the calling thread, and Node does both on its main thread). Returns the way back.
 */
export function enterNetwork(name: string): () => void {
  const home = openSync('/proc/self/ns/net', 'r');
  const enter = (fd: number): number => systemCall(SETNS, fd, CLONE_NEWNET);
  const there = openSync(`/var/run/netns/${name}`, 'r');
  enter(there);
  closeSync(there);
  return () => {
    enter(home);
    closeSync(home);
  };
}
