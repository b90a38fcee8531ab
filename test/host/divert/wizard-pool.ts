import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { runProgram } from '../../../lab/machine/program.ts';
import type { RunFolder } from '../../../lab/machine/run-folder.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { srCreate, srProbe } from '../../../lab/xapi-double/sr-operations.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import type { XapiError } from '../../../lab/xapi-double/xapi-error.ts';
import { buildProduct, place, placeHost } from '../../support/folder-host.ts';
import { ClusterHere } from '../ceph/cluster-here.ts';

/**
 * What the first three steps of the "New iSCSI SR" wizard take: the built product behind the dispatcher, xapi's double
 * and a real cluster of some pools and images. Nothing is mapped in them, so no host kernel is needed.
 */
export class WizardPool {
  readonly #here: ClusterHere;
  readonly xapi: XapiDouble;
  readonly folder: string;
  /** Xen Orchestra probes; XenCenter creates an SR that is not meant to come about. */
  readonly clients: Readonly<{
    'Xen Orchestra': (deviceConfig: Record<string, string>) => ReturnType<typeof srProbe>;
    XenCenter: (deviceConfig: Record<string, string>) => ReturnType<typeof srCreate>;
  }>;

  private constructor(here: ClusterHere, folder: string, xapi: XapiDouble) {
    this.#here = here;
    this.folder = folder;
    this.xapi = xapi;
    const asked = { type: 'lvmoiscsi' };
    this.clients = {
      'Xen Orchestra': (deviceConfig) => srProbe(xapi, { ...asked, deviceConfig }),
      XenCenter: (deviceConfig) => srCreate(xapi, { ...asked, deviceConfig, nameLabel: '__gui__' }),
    };
  }

  static async make(name: string, o: { readonly monitors?: number } = {}): Promise<WizardPool> {
    const here = await ClusterHere.start({ name, ...o });
    const { cluster } = here;
    await cluster.createPool('other');
    await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
    for (const image of ['b', 'a', 'has space']) await cluster.createImage(`rbd/${image}`, { sizeMiB: 64 });
    const folder = mkdtempSync(join(tmpdir(), `rbdsr-${name}-`));
    return new WizardPool(here, folder, await doubleOf(cluster, folder));
  }

  get run(): RunFolder {
    return this.#here.run;
  }

  get cluster(): Cluster {
    return this.#here.cluster;
  }

  /** Of the host that is a folder. */
  get root(): string {
    return rootOf(this.folder);
  }

  log(): string {
    return readFileSync(join(this.root, 'var/log/SMlog'), 'utf8');
  }

  async destroy(): Promise<void> {
    await this.xapi.close();
    await this.#here.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const WIZARD_CLIENTS = ['Xen Orchestra', 'XenCenter'] as const;

/** What a client finds in the fourth element of the error: xapi's third parameter. */
export function listOf(error: XapiError, number: number): string {
  expect(error.backendNumber, error.message).toBe(number);
  return error.description[3] ?? '';
}

const rootOf = (folder: string): string => join(folder, 'host');

async function doubleOf(cluster: Cluster, folder: string): Promise<XapiDouble> {
  const [root, product, unixSocket] = [rootOf(folder), join(folder, 'product'), join(folder, 'xapi')];
  buildProduct(product);
  place(join(product, 'stock/LVMoISCSISR'), (path) => writeFileSync(path, '#!/bin/sh\necho stock\n'));
  chmodSync(join(product, 'stock/LVMoISCSISR'), 0o755);
  const uuid = randomUUID();
  const env = { RBDSR_ROOT: root, RBDSR_HOME: product, RBDSR_RUN: join(root, 'run') };
  const exec = (_host: string, _program: string, argument: string) =>
    runProgram(cluster.network.inside([join(product, 'divert.py'), argument]), { env });
  const xapi = await startXapiDouble({ unixSocket }, { exec }, { profileId: '8.3b', hosts: [{ uuid }] });
  placeHost(root, uuid, unixSocket);
  const capabilities = ['SR_PROBE', 'VDI_CREATE'];
  xapi.db.create('SM', { type: 'lvmoiscsi', driver_filename: '/opt/xensource/sm/LVMoISCSISR', capabilities });
  return xapi;
}
