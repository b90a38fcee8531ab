import { RbdsrError } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';

/** Whom the work is about, as far as its caller has said; references are those of xapi's session. */
export interface Subject {
  readonly srUuid?: SrUuid;
  readonly srRef?: string;
  /** Whether this host is the pool's master. Proves nothing without `srRef`. */
  readonly srMaster: boolean;
  readonly hostRef?: string;
  readonly vdiUuid?: VdiUuid;
  readonly vdiRef?: string;
}

interface About {
  readonly subject: Subject;
}

/** 'bad-request' without it, as the others. */
export function srOf({ subject }: About): SrUuid {
  return said(subject.srUuid, 'sr_uuid');
}

export function vdiOf({ subject }: About): VdiUuid {
  return said(subject.vdiUuid, 'vdi_uuid');
}

export function vdiRefOf({ subject }: About): string {
  return said(subject.vdiRef, 'vdi_ref');
}

export function srRefOf({ subject }: About): string {
  return said(subject.srRef, 'sr_ref');
}

export function hostRefOf({ subject }: About): string {
  return said(subject.hostRef, 'host_ref');
}

function said<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RbdsrError('bad-request', { what: `the request has no ${name}` });
  return value;
}
