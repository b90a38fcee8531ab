import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answer } from './calls.ts';
import type { CallContext } from './context.ts';
import { XapiError } from './xapi-error.ts';
import { decodeCall, encodeResponse, type Rpc } from './xml-rpc.ts';

export interface CallRecord {
  readonly method: string;
  readonly params: readonly Rpc[];
  /** The header `Subtask-of`. */
  readonly subtaskOf: string | undefined;
}

/** Either or both. Port 0 takes a free one. */
export interface ListenAt {
  readonly unixSocket?: string;
  readonly tcp?: { readonly host: string; readonly port: number };
}

/** xapi's local door: HTTP POST of XML-RPC to `/`. Every call is recorded. */
export class XapiServer {
  readonly calls: CallRecord[] = [];
  tcpAddress: string | undefined;
  readonly #servers: Server[] = [];
  readonly #context: CallContext;
  #socketPath: string | undefined;

  constructor(context: CallContext) {
    this.#context = context;
  }

  async listen({ unixSocket, tcp }: ListenAt): Promise<void> {
    if (unixSocket !== undefined) {
      await rm(unixSocket, { force: true });
      this.#socketPath = unixSocket;
      await this.#open((server) => server.listen(unixSocket));
    }
    if (tcp === undefined) return;
    const server = await this.#open((opened) => opened.listen(tcp.port, tcp.host));
    const address = server.address();
    if (typeof address === 'object' && address !== null) {
      this.tcpAddress = address.family === 'IPv6' ? `[${tcp.host}]:${address.port}` : `${tcp.host}:${address.port}`;
    }
  }

  async close(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }
    if (this.#socketPath !== undefined) await rm(this.#socketPath, { force: true });
  }

  async #open(listen: (server: Server) => Server): Promise<Server> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).once('listening', resolve);
      listen(server);
    });
    this.#servers.push(server);
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.method !== 'POST' || request.url !== '/') {
        response.writeHead(request.method === 'POST' ? 404 : 405).end();
        return;
      }
      const subtaskOf = request.headers['subtask-of'];
      const text = Buffer.concat(chunks).toString('utf8');
      const body = encodeResponse(await this.#reply(text, typeof subtaskOf === 'string' ? subtaskOf : undefined));
      response.writeHead(200, { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) }).end(body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }

  async #reply(document: string, subtaskOf: string | undefined): Promise<Rpc> {
    const { method, params } = decodeCall(document);
    this.calls.push({ method, params, subtaskOf });
    try {
      return { Status: 'Success', Value: await answer(this.#context, method, params) };
    } catch (error) {
      if (error instanceof XapiError) return { Status: 'Failure', ErrorDescription: error.description };
      throw error;
    }
  }
}
