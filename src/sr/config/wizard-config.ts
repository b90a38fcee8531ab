import type { MonitorAddress } from '../../ceph/cluster/monitors.ts';
import type { KeySource } from './device-config.ts';

/** The fields of a "New iSCSI SR" wizard in RBDSR's terms. */
export interface WizardConfig {
  /** How far the person has come: pools are to be listed, or the images of `pool`; or both are chosen. */
  readonly step: 'list-pools' | 'list-images' | 'chosen';
  /** `target` exactly as typed: Xen Orchestra drops every answer that does not echo it. */
  readonly target: string;
  /** The same, read. */
  readonly monitors: readonly MonitorAddress[];
  /** Who logs in to a monitor; absent when a cephx user was given in its place, or nobody. */
  readonly ssh?: SshLogin;
  /** A cephx user that exists already. */
  readonly cephx?: CephxLogin;
  readonly pool?: string;
  readonly image?: string;
  readonly allocation: 'thick' | 'thin';
}

export interface SshLogin {
  readonly user: string;
  /** Absent when the host's own SSH key is to do. */
  readonly password?: PasswordSource;
}

export interface CephxLogin {
  /** Without `client.`. */
  readonly user: string;
  readonly key: PasswordSource;
}

/**
 * From 8.2 on xapi has made a secret of every password a client sends; before, and in an HA configuration, it is clear.
 */
export type PasswordSource = Exclude<KeySource, { kind: 'keyring' }>;
