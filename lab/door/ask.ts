import { connect, type Socket } from 'node:net';
import type { DoorAnswer, DoorRequest } from './requests.ts';

/** What the lab behind the door answers. */
export async function ask<T>(door: string, request: Exclude<DoorRequest, { ask: 'join' }>): Promise<T> {
  const socket = connect({ path: door });
  socket.write(`${JSON.stringify(request)}\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  if (chunks.length === 0) throw new Error(`the lab behind ${door} has gone`);
  return valueOf(JSON.parse(Buffer.concat(chunks).toString()) as DoorAnswer) as T;
}

/** From now on the hosts of the lab find xapi at this socket, until the connection that is returned is closed. */
export async function askToJoin(door: string, xapi: string): Promise<Socket> {
  const socket = connect({ path: door });
  socket.write(`${JSON.stringify({ ask: 'join', xapi } satisfies DoorRequest)}\n`);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    socket.once('data', resolve).once('error', reject);
    socket.once('close', () => reject(new Error(`the lab behind ${door} has gone`)));
  });
  valueOf(JSON.parse(answer.toString()) as DoorAnswer);
  return socket;
}

function valueOf(answer: DoorAnswer): unknown {
  if ('error' in answer) throw new Error(answer.error);
  return answer.value;
}
