import type { Cluster } from '../cluster/cluster.ts';
import type { Fault } from './fault.ts';

/** The daemon is killed, as by a crash. Ends with a new one on the same store. */
export function killed(cluster: Cluster, daemon: string): Fault {
  return {
    what: `${daemon} is killed`,
    begin: () => cluster.daemons.stop(daemon),
    end: () => cluster.daemons.start(daemon),
  };
}

/** The daemon stops answering without closing a connection, like a machine that hangs. */
export function frozenDaemon(cluster: Cluster, daemon: string): Fault {
  return {
    what: `${daemon} is frozen`,
    begin: () => cluster.daemons.freeze(daemon),
    end: () => Promise.resolve(cluster.daemons.thaw(daemon)),
  };
}

/** So many of the monitors are killed that the rest has no majority. Ends with all of them and a quorum. */
export function quorumLost(cluster: Cluster): Fault {
  const all = cluster.monitorNames;
  const lost = all.slice(0, Math.ceil(all.length / 2));
  return {
    what: `the monitors have no quorum: ${lost.join(', ')} are killed`,
    begin: async () => {
      for (const daemon of lost) await cluster.daemons.stop(daemon);
      if (lost.length < all.length) await cluster.quorumIsLost(lost.length);
    },
    end: async () => {
      for (const daemon of lost) await cluster.daemons.start(daemon);
      await cluster.tool('ceph', 'mon', 'stat');
    },
  };
}

/**
 * Frozen and killed OSDs are noticed in seconds instead of minutes, for a scenario that waits until they are marked
 * down.
 */
export function quickHeartbeats(cluster: Cluster): Fault {
  const settings = [
    ['osd_heartbeat_grace', '10'],
    ['osd_heartbeat_interval', '1'],
    ['mon_osd_min_down_reporters', '1'],
  ];
  // The daemons' own file says otherwise, and counts more than what the monitors keep.
  const all = [...cluster.monitorNames, ...cluster.osdNames];
  const set = async (change: (name: string, value: string) => readonly string[]): Promise<void> => {
    for (const daemon of all)
      for (const [name = '', value = ''] of settings)
        await cluster.tryTool('ceph', 'tell', daemon, 'config', ...change(name, value));
  };
  return {
    what: 'OSDs are missed after seconds',
    begin: () => set((name, value) => ['set', name, value]),
    end: () => set((name) => ['unset', name]),
  };
}

/** Ratios of a cluster nobody has changed (mon_osd_*_ratio of ceph.conf). */
const USUAL = { nearfull: '0.85', backfillfull: '0.9', full: '0.95' };
/** Below what an empty OSD holds already, and above nothing. */
const TINY = '0.00001';

/** The cluster counts as nearly full: it says so, and takes writes. */
export function nearlyFull(cluster: Cluster): Fault {
  return {
    what: 'the cluster is nearly full',
    begin: () => setRatios(cluster, { ...USUAL, nearfull: TINY }),
    end: () => setRatios(cluster, USUAL),
  };
}

/** The cluster counts as full: writes wait, or fail where the client asks for that. */
export function full(cluster: Cluster): Fault {
  return {
    what: 'the cluster is full',
    begin: () => setRatios(cluster, { nearfull: TINY, backfillfull: TINY, full: TINY }),
    end: () => setRatios(cluster, USUAL),
  };
}

async function setRatios(cluster: Cluster, ratios: typeof USUAL): Promise<void> {
  for (const [name, value] of Object.entries(ratios)) await cluster.tool('ceph', 'osd', `set-${name}-ratio`, value);
}

/**
 * The last of several OSDs holds nothing but what is put there (`unserved`). Placement groups with several copies keep
 * one there.
 */
export function lastOsdSpared(cluster: Cluster): Fault {
  const last = String(cluster.layout.osds - 1);
  return {
    what: `osd.${last} holds nothing`,
    // At 0 it would be out, and nothing could be put there.
    begin: async () => void (await cluster.tool('ceph', 'osd', 'reweight', last, '0.001')),
    end: async () => void (await cluster.tool('ceph', 'osd', 'reweight', last, '1')),
  };
}

/** Nobody serves the placement group, and every other goes on: it is alone on the last OSD, which is frozen. */
export function unserved(cluster: Cluster, group: string): Fault {
  const last = cluster.layout.osds - 1;
  return {
    what: `nobody serves the placement group ${group}`,
    begin: async () => {
      await cluster.tool('ceph', 'osd', 'set-require-min-compat-client', 'luminous');
      const clean = async (is: (osd: number) => boolean): Promise<number> => {
        for (;;) {
          const { acting = [], state } = (await placeOf(cluster, group)) ?? {};
          const [osd = last, ...others] = acting;
          if (others.length === 0 && is(osd) && state === 'active+clean') return osd;
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
      };
      await cluster.tool('ceph', 'osd', 'rm-pg-upmap-items', group);
      const from = await clean((osd) => osd !== last);
      await cluster.tool('ceph', 'osd', 'pg-upmap-items', group, String(from), String(last));
      await clean((osd) => osd === last);
      await cluster.daemons.freeze(`osd.${last}`);
    },
    end: async () => {
      cluster.daemons.thaw(`osd.${last}`);
      await cluster.tryTool('ceph', 'osd', 'rm-pg-upmap-items', group);
    },
  };
}

/** Undefined while its OSDs change. */
async function placeOf(
  cluster: Cluster,
  group: string,
): Promise<{ readonly acting: number[]; readonly state: string } | undefined> {
  const { code, stdout } = await cluster.tryTool('ceph', '--connect-timeout', '10', 'pg', group, 'query');
  return code === 0 ? (JSON.parse(stdout) as { acting: number[]; state: string }) : undefined;
}
