import type { Writable } from 'node:stream';
import type { SecretInput } from '../system/secret-input.ts';

/** What the operator's command gets from its composition root. */
export interface CliSurroundings {
  /** `Version : X.Y.Z`. */
  readonly versionLine: string;
  /** Prefix of the host's paths; empty on a real one. */
  readonly root: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Where passwords and keys come from; absent where none is asked for. */
  readonly stdin?: SecretInput['stdin'];
}

export interface CliCall extends CliSurroundings {
  print(text: string): void;
}
