import { existsSync } from 'node:fs';
import type { Deadline } from '../base/deadline.ts';
import { answered, readOnce } from '../system/io/answered.ts';
import { openBlockIo } from '../system/io/block-device.ts';
import { takeFairlock } from '../system/locks/fairlock.ts';
import { type HeldLock, takeRecordLock } from '../system/locks/record-lock.ts';
import type { HostProfile } from './host-profile.ts';

const FAIRLOCK_SOCKET = '/run/fairlock/devicemapper';
/** How long a device may take to prove that it answers, ms, before a lock that other SRs need is taken. */
const PROOF_MS = 10_000;

interface Work {
  readonly profile: HostProfile;
  waiting(what: string): void;
}

/**
 * The host's own lock around every LVM command, as the storage manager of this version has it. iSCSI SRs wait for the
 * same lock, so it is taken only after one direct read of our device has been answered, and it goes with this process's
 * connection, not with the LVM program.
 */
export function serialiser(work: Work, device: string): (deadline: Deadline) => Promise<HeldLock> | undefined {
  const { serialisation } = work.profile.lvm;
  const { root, lockDir, runDir } = work.profile.paths;
  if (serialisation === 'none') return () => undefined;
  if (serialisation === 'file-lock') {
    return async (deadline) => {
      await prove(work, device, deadline);
      return takeRecordLock(`${lockDir}/.nil/lvm`, { wait: true, deadline, queue: `${runDir}/waiting/lvm` });
    };
  }
  const socket = `${root}${FAIRLOCK_SOCKET}`;
  return (deadline) => (hasFairlock(root, socket) ? proveAndTake(work, device, socket, deadline) : undefined);
}

/** A service that is not running has no socket: it is started then, for other SRs of this host start it, too. */
function hasFairlock(root: string, socket: string): boolean {
  return existsSync(socket) || UNIT_FOLDERS.some((folder) => existsSync(`${root}${folder}/fairlock@.service`));
}

const UNIT_FOLDERS = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system'];

async function proveAndTake(work: Work, device: string, socket: string, deadline: Deadline): Promise<HeldLock> {
  await prove(work, device, deadline);
  return takeFairlock(socket, deadline);
}

async function prove(work: Work, device: string, deadline: Deadline): Promise<void> {
  work.waiting(`an answer of the cluster to one read from ${device}`);
  const io = await openBlockIo(device, 'read');
  const mapped = `${device} is mapped`;
  await answered(readOnce(io), { device, mapped, ms: PROOF_MS, deadline });
}
