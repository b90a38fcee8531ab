import type { PluginCall } from './plugin-call.ts';

interface PluginFunction {
  /** Whether it changes LVM metadata, so that it is refused on a host that is not the pool's master. */
  readonly masterOnly: boolean;
  /** What an earlier command may still write to the SR is waited for before it starts. */
  readonly changes: boolean;
  /**
   * Seconds after which the launcher answers for a worker that has not: less than the command has that waits for it.
   */
  readonly deadlineSeconds: number;
  /** The answer. Loads the code of this function and nothing else. */
  readonly load: () => Promise<(call: PluginCall) => Promise<string>>;
}

const master = { masterOnly: true, changes: true, deadlineSeconds: 45 } as const;
const anyHost = { ...master, masterOnly: false } as const;

/**
 * Every function about a disk; all of them take `sr_uuid` and `vdi_uuid`. `version` and `cephx_users` are beside them
 * (run-plugin.ts).
 */
export const PLUGIN_FUNCTIONS: ReadonlyMap<string, PluginFunction> = new Map([
  ['inflate', { ...master, load: async () => (await import('./room-for-host.ts')).inflateForHost }],
  ['deflate', { ...master, load: async () => (await import('./room-for-host.ts')).deflateForHost }],
  ['end_tracking', { ...master, load: async () => (await import('./end-tracking.ts')).endTrackingForHost }],
  [
    'is_settled',
    { ...master, changes: false, deadlineSeconds: 15, load: async () => (await import('./is-settled.ts')).isSettled },
  ],
  [
    'is_collecting',
    {
      ...anyHost,
      changes: false,
      deadlineSeconds: 8,
      load: async () => (await import('./is-collecting.ts')).isCollecting,
    },
  ],
  ['refresh', { ...anyHost, load: async () => (await import('./refresh-volume.ts')).refreshVolume }],
  // Less than the master waits for (sr/disk/paused.ts).
  ['pause', { ...anyHost, deadlineSeconds: 18, load: async () => (await import('./pause.ts')).pauseForMaster }],
  ['resume', { ...anyHost, deadlineSeconds: 18, load: async () => (await import('./pause.ts')).resumeForMaster }],
  // Less than the master waits for (gc/sr-world.ts).
  [
    'release',
    { ...anyHost, deadlineSeconds: 18, load: async () => (await import('./release-node.ts')).releaseForMaster },
  ],
  // Less than the host that asks waits for (marked-hosts.ts); it does not wait for late writers, it tells of them.
  [
    'is_open',
    { ...anyHost, changes: false, deadlineSeconds: 15, load: async () => (await import('./is-open.ts')).isOpen },
  ],
]);
