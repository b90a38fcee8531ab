import type { ClusterLayout } from '../cluster/layout.ts';
import type { Links } from '../hosts/links.ts';
import type { Need } from '../hosts/needs.ts';

/** What another process may ask of a lab that is up, at its door: one JSON document each way. */
export type DoorRequest =
  | { readonly ask: 'describe' }
  /** Bytes are base64. */
  | {
      readonly ask: 'exec';
      readonly host: string;
      readonly argv: readonly string[];
      readonly stdin?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly timeoutMs?: number;
    }
  /** An SM command as xapi sends it. */
  | {
      readonly ask: 'command';
      readonly host: string;
      readonly command: string;
      readonly deviceConfig: Readonly<Record<string, string>>;
    }
  | { readonly ask: 'power'; readonly host: string; readonly does: PowerChange }
  | { readonly ask: 'daemon'; readonly name: string; readonly does: 'start' | 'stop' }
  /**
   * Until the asker closes the connection, hosts find xapi at this socket. One at a time: the next one waits for the
   * answer.
   */
  | { readonly ask: 'join'; readonly xapi: string };

export type PowerChange = 'powerCut' | 'powerOff' | 'powerOn' | 'freeze' | 'thaw';

export type DoorAnswer = { readonly value: unknown } | { readonly error: string };

/** The answer to `exec` and `command`; bytes are base64. */
export interface DoorOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The answer to `describe`. */
export interface LabDescription {
  readonly layout: ClusterLayout;
  readonly network: string;
  readonly hosts: readonly HostDescription[];
  readonly selfExtractor: string;
}

export interface HostDescription {
  readonly name: string;
  readonly uuid: string;
  readonly address: string;
  readonly consoleLog: string;
  readonly deadline: number;
  readonly isOn: boolean;
  readonly links?: Links;
  readonly has: readonly Need[];
}
