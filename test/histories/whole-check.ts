import { existsSync, readdirSync } from 'node:fs';
import { mapOf, type Row, stringOf } from '../../lab/xapi-double/database.ts';
import { listJournals } from '../../src/lvhd/journal/journal.ts';
import type { VdiNode } from '../../src/lvhd/lv-table.ts';
import { MetadataVolume } from '../../src/lvhd/metadata/metadata-volume.ts';
import { checkVhd } from '../../src/vhd/check/check.ts';
import { differs } from './difference.ts';
import type { History } from './perform.ts';
import type { Sight, TwoHosts } from './two-hosts.ts';

/**
 * An SR in which nothing is under way: volumes, metadata volume and xapi's records say the same, every VHD that no
 * guest writes to is sound, hosts have what their marks say, and nothing is left of what was cut short.
 */
export async function checkWhole(history: History): Promise<void> {
  const { hosts, model } = history;
  const sight = await hosts.sight();
  differs(
    ...strangers(sight),
    ...recordFaults(hosts, sight),
    ...(await metadataFaults(hosts, sight, model.hasBeenCut)),
    ...(await vhdFaults(history, sight)),
    ...markFaults(history),
    ...hosts.pool.double.offences.map(({ call, why }) => `${call}: ${why}`),
  );
}

/** No disk is in use, all are deleted and collected: nothing of them is left anywhere. */
export async function checkEmpty(hosts: TwoHosts): Promise<void> {
  const { report } = await hosts.sight();
  const lvs = report.lvs.map(({ name }) => name).filter((name) => name !== 'MGT');
  differs(
    ...lvs.map((name) => `volume ${name} is left of an SR without disks`),
    ...hosts.records().map((row) => `VDI ${stringOf(row, 'uuid')} is left in xapi`),
    ...[0, 1].flatMap((index) => leftOn(hosts, index)),
  );
}

function leftOn(hosts: TwoHosts, index: number): string[] {
  const root = hosts.pool.root(index);
  const counts = `${root}/var/run/sm/refcount/lvm-${hosts.srUuid}`;
  return [
    ...hosts.volumes
      .on(index)
      .filter((name) => name !== 'MGT')
      .map((name) => `${name} is active on host ${index}`),
    ...filesIn(counts).map((name) => `${name} is counted on host ${index}`),
    ...filesIn(`${root}/var/run/rbdsr/nbd`)
      .filter((name) => /\.(json|sock|ctl)$/.test(name))
      .map((name) => `${name} is left on host ${index}`),
  ];
}

function filesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function strangers({ report, tree }: Sight): string[] {
  const disks = new Set<string>(tree.nodes.map(({ lvName }) => lvName));
  return [
    ...listJournals(report).map(({ lvName }) => `journal ${lvName} is left`),
    ...report.lvs
      .map(({ name }) => name)
      .filter((name) => name !== 'MGT' && !disks.has(name))
      .map((name) => `${name} is no disk`),
  ];
}

function recordFaults(hosts: TwoHosts, { tree, report }: Sight): string[] {
  const rows = hosts.records();
  const recorded = new Set(rows.map((row) => stringOf(row, 'uuid')));
  const used = Number(hosts.pool.double.db.get('SR', hosts.pool.srRef).fields['physical_utilisation']);
  return [
    ...tree
      .visible()
      .filter(({ uuid }) => !recorded.has(uuid))
      .map(({ lvName }) => `xapi does not know ${lvName}`),
    ...rows.flatMap((row) => faultsOfRecord(row, tree.nodes)),
    ...(used === report.sizeBytes - report.freeBytes ? [] : [`xapi has ${used} bytes of the SR as used`]),
  ];
}

function faultsOfRecord(row: Row, nodes: readonly VdiNode[]): string[] {
  const uuid = stringOf(row, 'uuid');
  const node = nodes.find((one) => one.uuid === uuid);
  if (node === undefined) return [`VDI ${uuid} of xapi has no volume`];
  const smConfig = mapOf(row, 'sm_config');
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['virtual_size', row.fields['virtual_size'], node.virtualSizeBytes],
    ['physical_utilisation', row.fields['physical_utilisation'], node.lvSizeBytes],
    ['managed', row.fields['managed'], !node.hidden],
    ['vhd-parent', smConfig['vhd-parent'], node.parentUuid],
    ['vdi_type', smConfig['vdi_type'], node.kind],
    ['whether others hang on it', node.hidden, nodes.some(({ parentUuid }) => parentUuid === uuid)],
  ];
  return [
    ...pairs
      .filter(([, recorded, real]) => recorded !== real)
      .map(([what, recorded, real]) => `${what} of ${node.lvName} is ${String(real)}, in xapi ${String(recorded)}`),
    ...['paused', 'relinking', ...(isMarked(smConfig) ? [] : ['activating'])]
      .filter((key) => Object.hasOwn(smConfig, key))
      .map((key) => `${key} is left on ${node.lvName}`),
  ];
}

/** Where another host has the disk, `activating` that a dead call has left stays until somebody activates it. */
function isMarked(smConfig: Readonly<Record<string, string>>): boolean {
  return Object.keys(smConfig).some((key) => key.startsWith('host_'));
}

async function metadataFaults(hosts: TwoHosts, { tree }: Sight, hasBeenCut: boolean): Promise<string[]> {
  const { vdis, problems } = await new MetadataVolume(await hosts.pool.sr.openLv('MGT', 'read')).read();
  const recorded = new Set<string>(vdis.map(({ uuid }) => uuid));
  const shown = tree.visible();
  const known = new Set<string>(shown.map(({ uuid }) => uuid));
  return [
    ...problems.map((problem) => `metadata volume: ${String(problem)}`),
    ...[...recorded].filter((uuid) => !known.has(uuid)).map((uuid) => `the metadata volume has ${uuid}, a disk of old`),
    ...(vdis.length === recorded.size ? [] : ['the metadata volume has a disk twice']),
    // A disk that only a scan has found has none: `rbdsr mgt rebuild` makes one.
    ...(hasBeenCut ? [] : shown.filter(({ uuid }) => !recorded.has(uuid))).map(
      ({ lvName }) => `the metadata volume lacks ${lvName}`,
    ),
  ];
}

async function vhdFaults({ hosts, model }: History, { tree }: Sight): Promise<string[]> {
  const written = new Set<string>(model.all().flatMap(({ uuid, uses }) => (uses.size === 0 ? [] : [uuid])));
  const faults: string[] = [];
  for (const { uuid, lvName, kind } of tree.nodes) {
    if (kind !== 'vhd') continue;
    const o = { endFooterOptional: written.has(uuid) };
    const found = await checkVhd(await hosts.pool.sr.openLv(lvName, 'read'), o);
    faults.push(...found.map((finding) => `${lvName}: ${JSON.stringify(finding)}`));
  }
  return faults;
}

/** A host has a mark in xapi exactly where a disk is in use on it. */
function markFaults({ hosts, model }: History): string[] {
  return model.all().flatMap(({ name, uuid, uses }) => {
    const row = hosts.record(uuid);
    const marks = Object.keys(row === undefined ? {} : mapOf(row, 'sm_config')).filter((key) =>
      key.startsWith('host_'),
    );
    const wanted = [...uses.keys()].map((host) => `host_${hosts.hostRef(host)}`);
    return marks.toSorted().join() === wanted.toSorted().join() ? [] : [`disk ${name} has the marks ${marks.join()}`];
  });
}
