import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { MiB } from '../../../src/base/units.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { decodeDump, decodePlacement } from '../../../src/ceph/control/native/cluster-dump.ts';
import {
  headerOf,
  idOf,
  listDirectory,
  readImageHeader,
  readWatchers,
} from '../../../src/ceph/control/native/image-objects.ts';
import { type NativePlane, openNativePlane } from '../../../src/ceph/control/native/native-plane.ts';
import { PoolObjects } from '../../../src/ceph/control/native/pool-objects.ts';
import type { WireMessage } from '../../../src/ceph/wire/connection.ts';
import { authReply, commandReply, fsidOfMonitorMap, MESSAGE } from '../../../src/ceph/wire/mon-messages.ts';
import { backoff, notificationOf, operationReply } from '../../../src/ceph/wire/osd-messages.ts';
import { changed, endsWell, inUse, random, SEEDS } from './hostile.ts';

// What a monitor and an OSD really sent (test/fixtures/ceph-wire), changed in many ways, and frames that nobody sent:
// each ends as an answer or as an error of ours.

interface Recorded {
  readonly user: string;
  readonly key: string;
  readonly fsid: string;
  readonly monitorStream: string;
  readonly monitorMessages: readonly RecordedMessage[];
  readonly osdMessages: readonly RecordedMessage[];
}

interface RecordedMessage {
  readonly type: number;
  readonly front: string;
  readonly data: string;
}

const recorded = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../fixtures/ceph-wire/conversations.json`, 'utf8'),
) as Recorded;
const stream = Buffer.from(recorded.monitorStream, 'hex');

let server: Server;
let sent: Buffer = Buffer.alloc(0);
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    socket.end(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => server.close());

/** A plane whose one monitor sends these bytes and then ends the connection. */
async function against<T>(bytes: Buffer, work: (plane: NativePlane) => Promise<T>): Promise<T> {
  sent = bytes;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const access = { monitors: `127.0.0.1:${port}`, user: recorded.user, key: new Secret(recorded.key) };
  using plane = openNativePlane(clusterAccess(access));
  return await work(plane);
}

test('what was recorded is understood', async () => {
  expect(await against(stream, (plane) => plane.clusterId(Deadline.after(5000)))).toBe(recorded.fsid);
});

describe('a monitor that sends anything at all', () => {
  test.each(SEEDS)('the recorded stream, changed by seed %i', async (seed) => {
    const bytes = changed(stream, random(seed));
    await endsWell(() => against(bytes, (plane) => plane.clusterId(Deadline.after(300))));
  });

  test.each(SEEDS.slice(0, 40))('bytes of seed %i behind a greeting', async (seed) => {
    const next = random(seed);
    const greeting = stream.subarray(0, 9 + 2 * 136 + (seed % 2 === 0 ? 26 : 0));
    const bytes = Buffer.concat([greeting, Buffer.from(Array.from({ length: 400 }, () => next(256)))]);
    await endsWell(() => against(bytes, (plane) => plane.clusterId(Deadline.after(300))));
  });
});

const messages = [...recorded.monitorMessages, ...recorded.osdMessages].map(
  ({ type, front, data }): WireMessage => ({
    type,
    version: 1,
    compatVersion: 1,
    tid: 1,
    front: Buffer.from(front, 'hex'),
    data: Buffer.from(data, 'hex'),
  }),
);

function decoded(message: WireMessage): unknown {
  if (message.type === MESSAGE.monitorMap) return fsidOfMonitorMap(message);
  if (message.type === MESSAGE.commandReply) {
    const { output } = commandReply(message);
    return output.includes('"pools"')
      ? decodeDump(output)
      : output.includes('raw_pgid')
        ? decodePlacement(output)
        : output;
  }
  if (message.type === MESSAGE.osdReply) return operationReply(message);
  if (message.type === MESSAGE.watchNotify) return notificationOf(message);
  throw new Error(`nobody decodes type ${message.type}`);
}

describe('messages whose checksums are right and whose fields are not', () => {
  test('each is understood as it was sent', () => {
    for (const message of messages) expect(decoded(message)).toBeDefined();
  });

  test.each(SEEDS)('changed by seed %i', async (seed) => {
    const next = random(seed);
    const before = inUse();
    let most = before;
    for (const message of messages) {
      const bad = { ...message, front: changed(message.front, next), data: changed(message.data, next) };
      await endsWell(() => decoded(bad));
      await endsWell(() => backoff(bad));
      await endsWell(() => authReply(bad));
      most = Math.max(most, inUse());
    }
    expect(most - before).toBeLessThan(64 * MiB);
  });
});

describe('objects that hold anything', () => {
  const outputs = messages
    .filter(({ type }) => type === MESSAGE.osdReply)
    .flatMap((message) => operationReply(message).each);

  test.each(SEEDS)('outputs of seed %i', async (seed) => {
    const next = random(seed);
    const each = [0, 1, 2].map(() => {
      const { output } = outputs[next(outputs.length)] ?? { output: Buffer.alloc(0) };
      return { result: 0, output: changed(output, next) };
    });
    let pages = 0;
    const osds = {
      // A directory ends, whatever its pages say.
      operate: async () => ({ osd: 0, result: (pages += 1) > 3 ? -2 : 0, each }),
      notify: async () => ({ cookie: 1, missed: [] }),
    };
    const pool = { id: 1, name: 'rbd', groups: 8, isHashKnown: true, isForImages: true, flags: [], takesData: true };
    const by = { asker: { user: 'xen', cluster: 'the cluster' }, map: { hindrances: async () => [] }, osds };
    const objects = new PoolObjects(pool, '', by);
    const soon = Deadline.after(5000);
    for (const read of [listDirectory, (o: PoolObjects, d: Deadline) => readImageHeader(o, 'x', d)]) {
      pages = 0;
      await endsWell(() => read(objects, soon));
    }
    pages = 0;
    await endsWell(() => idOf(objects, 'x', soon));
    await endsWell(() => headerOf(objects, 'x', soon));
    pages = 0;
    await endsWell(() => readWatchers(objects, 'x', soon));
  });
});
