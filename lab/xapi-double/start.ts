import { randomUUID } from 'node:crypto';
import type { CallContext, Offence, Session } from './context.ts';
import { Database } from './database.ts';
import { openSession, type XapiDouble } from './double.ts';
import type { HostPort } from './host-port.ts';
import { runPlugin } from './plugin-call.ts';
import { type DoubleProfileId, doubleProfile } from './profile.ts';
import { type ListenAt, XapiServer } from './server.ts';
import { srScan, srUpdate } from './sr-operations.ts';

export interface DoubleOptions {
  readonly profileId: DoubleProfileId;
  /** The pool's hosts, master first. Default: one. */
  readonly hosts?: readonly { readonly uuid?: string; readonly name?: string; readonly address?: string }[];
  /** pool.restrictions. */
  readonly restrictions?: Readonly<Record<string, string>>;
}

/** Starts a double that listens at a UNIX socket, at TCP, or at both; until `close` it keeps the process alive. */
export async function startXapiDouble(at: ListenAt, hostPort: HostPort, options: DoubleOptions): Promise<XapiDouble> {
  const db = new Database();
  const hosts = (options.hosts ?? [{}]).map(({ uuid, name, address }, index) =>
    db.create('host', {
      uuid: uuid ?? randomUUID(),
      name_label: name ?? `host${index + 1}`,
      hostname: name ?? `host${index + 1}`,
      address: address ?? '127.0.0.1',
      enabled: true,
      metrics: db.create('host_metrics', { live: true }).ref,
    }),
  );
  const [master] = hosts;
  if (master === undefined) throw new Error('a pool has at least one host');
  db.create('pool', { master: master.ref, restrictions: { ...options.restrictions } });
  const profile = doubleProfile(options.profileId);
  const sessions = new Map<string, Session>();
  const offences: Offence[] = [];
  const refused = new Set<string>();
  const background: Promise<unknown>[] = [];
  const context: CallContext = {
    db,
    sessions,
    offences,
    refused,
    dbIntroduceArity: profile.dbIntroduceArity,
    callPlugin: (session, hostRef, plugin, fn, args) => runPlugin(double, session, hostRef, plugin, fn, args),
    srScan: (srRef) => srScan(double, srRef),
    asyncSrUpdate: (srRef, task) => {
      const finished = srUpdate(double, srRef).then(
        () => 'success',
        () => 'failure',
      );
      background.push(finished.then((status) => (task.fields['status'] = status)));
    },
    login: () => openSession(sessions),
  };
  const server = new XapiServer(context);
  const double: XapiDouble = {
    db,
    profile,
    hostPort,
    hosts,
    master,
    sessions,
    offences,
    refused,
    calls: server.calls,
    runs: [],
    offline: new Set(),
    attachedOn: new Map(),
    get tcpAddress() {
      return server.tcpAddress;
    },
    settled: async () => {
      while (background.length > 0) await background.shift();
    },
    close: () => server.close(),
  };
  await server.listen(at);
  return double;
}
