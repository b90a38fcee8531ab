import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/**
 * From here on this process opens its sockets, and starts its programs, in the named network namespace (setns(2) acts
 * on the calling thread, and Node does both on its main thread). Returns the way back.
 */
export function enterNetwork(name: string): () => void {
  const setns = koffi.load('libc.so.6').func('int setns(int fd, int kind)');
  const home = openSync('/proc/self/ns/net', 'r');
  const enter = (fd: number): void => {
    if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns failed, errno ${koffi.errno()}`);
  };
  const there = openSync(`/var/run/netns/${name}`, 'r');
  enter(there);
  closeSync(there);
  return () => {
    enter(home);
    closeSync(home);
  };
}
