import type { Ticket } from '../../../src/ceph/wire/cephx-authorizer.ts';

/** For OSDs, as monitors give them; nobody can open this one. */
export const TICKET: Ticket = {
  service: 4,
  sessionKey: Buffer.alloc(16),
  secretId: 1n,
  sealed: Buffer.alloc(0),
  expiresAtMs: 1e9,
  renewAtMs: 1e9,
};
