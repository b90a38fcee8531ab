import { randomUUID } from 'node:crypto';
import type { Offence, Session } from './context.ts';
import type { Database, Row } from './database.ts';
import type { HostPort } from './host-port.ts';
import type { DoubleProfile } from './profile.ts';
import type { CallRecord } from './server.ts';

/**
 * A pool as xapi has it: its database, its door for drivers, and what a scenario needs to act as xapi
 * (`sr-operations.ts` and beside).
 */
export interface XapiDouble {
  readonly db: Database;
  readonly profile: DoubleProfile;
  readonly hostPort: HostPort;
  /** The pool master is the first. */
  readonly hosts: readonly Row[];
  readonly master: Row;
  readonly sessions: Map<string, Session>;
  /** What a driver did and should not have; a scenario asserts that there is nothing. */
  readonly offences: Offence[];
  /** Methods that fail, as in a xapi that is in trouble: INTERNAL_ERROR. */
  readonly refused: Set<string>;
  /** Every call a driver made, oldest first. */
  readonly calls: readonly CallRecord[];
  /** Every run of a driver or plug-in, oldest first. */
  readonly runs: DriverRun[];
  /** Hosts that xapi does not reach, by reference: it runs no plug-in there. */
  readonly offline: Set<string>;
  /** Which host has a VDI attached, by VBD reference. */
  readonly attachedOn: Map<string, string>;
  /** Where the double listens for TCP, "host:port" as the product's client takes it. */
  readonly tcpAddress: string | undefined;
  /** Waits for the SR.update calls that drivers asked for. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface DriverRun {
  readonly hostUuid: string;
  readonly program: string;
  readonly request: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** By performance.now(). */
  readonly startedMs: number;
  readonly durationMs: number;
}

/** A session logged in by somebody, such as a plug-in. */
export function openSession(sessions: Map<string, Session>): Session {
  return remember(sessions, { ref: `OpaqueRef:${randomUUID()}`, kind: 'own' });
}

/** xapi's session for one run of a driver; with an SR it may make the internal calls for that one. */
export function openDriverSession(sessions: Map<string, Session>, srRef: string | undefined): Session {
  const session: Session = { ref: `OpaqueRef:${randomUUID()}`, kind: 'driver' };
  return remember(sessions, srRef === undefined ? session : { ...session, srRef });
}

function remember(sessions: Map<string, Session>, session: Session): Session {
  sessions.set(session.ref, session);
  return session;
}
