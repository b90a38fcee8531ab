import { type Database, type FieldValue, type Row } from './database.ts';
import type { PluginResult } from './host-port.ts';
import { XapiError } from './xapi-error.ts';

/** A call that changed more than a driver should: kept so that a test can say the list is empty. */
export interface Offence {
  readonly call: string;
  readonly why: string;
}

export interface Session {
  readonly ref: string;
  /** xapi's own for one run of a driver, or one that was logged in. */
  readonly kind: 'driver' | 'own';
  /** The SR whose internal calls a driver's session may make; absent for sr_probe. */
  readonly srRef?: string;
}

export interface CallContext {
  readonly db: Database;
  readonly sessions: Map<string, Session>;
  readonly offences: Offence[];
  /** Methods that fail, as in a xapi that is in trouble. */
  readonly refused: ReadonlySet<string>;
  /** 18 before 7.3, 19 since: VDI.db_introduce without the session. */
  readonly dbIntroduceArity: number;
  /** With the session of whoever calls it: when that ends, the plug-in has none. */
  callPlugin(
    session: Session,
    hostRef: string,
    plugin: string,
    fn: string,
    args: Record<string, string>,
  ): Promise<PluginResult>;
  srScan(srRef: string): Promise<void>;
  asyncSrUpdate(srRef: string, task: Row): void;
  login(): Session;
}

/** A driver's session is good for the one SR it was made for (xen-api `sm.ml`, `_sm_session`). */
export function assertAccess(session: Session, sr: FieldValue | undefined, method: string): void {
  if (session.kind === 'driver' && session.srRef !== sr) throw new XapiError('RBAC_PERMISSION_DENIED', method);
}
