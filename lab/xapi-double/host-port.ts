/**
 * What the double needs of the hosts: run a program there as xapi's forkexecd does, with one argument, no stdin and
 * PATH alone in the environment. A dom0 of the lab is one host; a plain machine can be one in a test.
 */
export interface HostPort {
  /** `hostUuid` is the host's INSTALLATION_UUID. Resolves however the program ends. */
  exec(hostUuid: string, program: string, argument: string): Promise<ExecResult>;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status; a signal is 128 and its number, as a shell has it. */
  readonly code: number;
}

/** A failure is xapi's: a code and its parameters. */
export type PluginResult = { readonly value: string } | { readonly failure: readonly string[] };
