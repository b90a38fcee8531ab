import { connect, type Server } from 'node:net';

/**
 * Where the xapi of a pool listens: a socket of this machine. Who joins a lab that is up puts its own there for a
 * while.
 */
export interface XapiRoute {
  path: string;
}

/** Every connection to the server becomes one to xapi. */
export function routeToXapi(server: Server, route: XapiRoute): void {
  server.on('connection', (client) => {
    const xapi = connect({ path: route.path });
    client.pipe(xapi).pipe(client);
    client.on('error', () => xapi.destroy());
    xapi.on('error', () => client.destroy());
  });
}
