import ssh2 from 'ssh2';
import type { Client as SshClient } from 'ssh2';

/**
 * The SSH library, which few commands need: import this file with `import()` only. It is CommonJS without named exports
 * that Node could see.
 */
export const { Client, utils } = ssh2;
export type Client = SshClient;
