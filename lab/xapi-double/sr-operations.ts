import { mapOf, type Row, stringOf } from './database.ts';
import { driverOf, pbdOn, runDriver, srCall } from './driver.ts';
import { createPbd, destroyPbd, pbdPlug, pbdUnplug } from './pbd-operations.ts';
import { destroySecrets, movePasswords } from './secrets.ts';
import type { XapiDouble } from './double.ts';
import { XapiError } from './xapi-error.ts';

type StringMap = Readonly<Record<string, string>>;

export interface SrCreateOptions {
  readonly type: string;
  readonly deviceConfig: StringMap;
  readonly nameLabel?: string;
  readonly nameDescription?: string;
  readonly smConfig?: StringMap;
  readonly shared?: boolean;
  /** "0", as user interfaces send it, where left out. */
  readonly physicalSize?: string;
  /** The host sr_create runs on: the pool master, where left out. */
  readonly host?: string;
}

export interface SrCreated {
  readonly sr: Row;
  /** What PBD.plug of each host failed with; SR.create does not fail for it. */
  readonly plugErrors: readonly unknown[];
}

/**
 * SR.create (xen-api `xapi_sr.ml`): the records first, then sr_create on one host, then every PBD is plugged, the
 * master's first. When sr_create fails the records go. After it every PBD has the device_config of the first one,
 * secrets included.
 */
export async function srCreate(double: XapiDouble, o: SrCreateOptions): Promise<SrCreated> {
  const driver = driverOf(double, o.type);
  const host = o.host ?? double.master.ref;
  const shared = o.shared ?? true;
  const sr = createSr(double, o, undefined);
  const config = movePasswords(double, o.deviceConfig);
  const hosts = shared ? [host, ...double.hosts.map(({ ref }) => ref).filter((ref) => ref !== host)] : [host];
  const pbds = hosts.map((ref) => createPbd(double, sr.ref, ref, config));
  const before = mapOf(pbdOn(double, sr.ref, host), 'device_config');
  try {
    const call = {
      ...srCall(double, sr.ref, host),
      command: 'sr_create',
      args: [o.physicalSize ?? '0'],
      srMaster: true,
    };
    (await runDriver(double, host, driver, call)).unit();
  } catch (error) {
    // Rows alone go: the secrets they name stay, as in xapi.
    for (const pbd of pbds) double.db.destroy('PBD', pbd.ref);
    double.db.destroy('SR', sr.ref);
    throw error;
  }
  for (const pbd of pbds) pbd.fields['device_config'] = before;
  return { sr, plugErrors: await plugAll(double, sr.ref) };
}

/** SR.introduce and a PBD on every host, as user interfaces do to attach an SR that exists. Nothing is plugged. */
export function srIntroduce(double: XapiDouble, o: SrCreateOptions & { readonly uuid: string }): Row {
  driverOf(double, o.type);
  const sr = createSr(double, o, o.uuid);
  for (const { ref } of double.hosts) createPbd(double, sr.ref, ref, movePasswords(double, o.deviceConfig));
  return sr;
}

/** PBD.plug of every host, the master's first; returns the failures. */
export async function plugAll(double: XapiDouble, srRef: string): Promise<unknown[]> {
  const errors: unknown[] = [];
  for (const { ref } of double.hosts) {
    const pbd = double.db.where('PBD', 'SR', srRef).find(({ fields }) => fields['host'] === ref);
    try {
      if (pbd !== undefined) await pbdPlug(double, pbd.ref);
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}

/**
 * SR.scan (xen-api `xapi_sr.ml`): sr_scan and sr_update on the master, once more while that changes which disks there
 * are. Only then is the request for a scan removed: where one of them fails, xapi scans again 30 s later, and so on.
 */
export async function srScan(double: XapiDouble, srRef: string): Promise<void> {
  const disks = (): string =>
    double.db
      .where('VDI', 'SR', srRef)
      .map(({ ref }) => ref)
      .join();
  for (let again = true, left = SCANS; again && left > 0; left -= 1) {
    const before = disks();
    await onMaster(double, srRef, 'sr_scan');
    await onMaster(double, srRef, 'sr_update');
    again = disks() !== before;
  }
  const sr = double.db.get('SR', srRef);
  const { dirty: _dirty, ...rest } = mapOf(sr, 'other_config');
  sr.fields['other_config'] = rest;
}

const SCANS = 3;

export async function srUpdate(double: XapiDouble, srRef: string): Promise<void> {
  await onMaster(double, srRef, 'sr_update');
}

export interface SrProbeOptions {
  readonly type: string;
  readonly deviceConfig: StringMap;
  readonly smConfig?: StringMap;
  readonly host?: string;
}

/** SR.probe: the driver's text. There is no SR and the session is bound to none; SRmaster is "true" on any host. */
export async function srProbe(double: XapiDouble, o: SrProbeOptions): Promise<string> {
  const answer = await runDriver(double, o.host ?? double.master.ref, driverOf(double, o.type), {
    command: 'sr_probe',
    deviceConfig: movePasswords(double, o.deviceConfig),
    srMaster: true,
    srSmConfig: o.smConfig ?? {},
  });
  return answer.text();
}

/**
 * SR.destroy: every PBD has to be unplugged; then sr_attach and sr_delete on the master, and no sr_detach after a
 * success. When sr_delete fails sr_detach follows and its own failure is passed over.
 */
export async function srDestroy(double: XapiDouble, srRef: string): Promise<void> {
  const { db } = double;
  const pbds = db.where('PBD', 'SR', srRef);
  const attached = pbds.find(({ fields }) => fields['currently_attached'] === true);
  if (attached !== undefined) throw new XapiError('SR_HAS_PBD', srRef);
  if (pbds.length === 0) throw new XapiError('SR_NO_PBDS', srRef);
  if (db.where('VDI', 'SR', srRef).some(({ fields }) => fields['managed'] === true)) {
    throw new XapiError('SR_NOT_EMPTY');
  }
  if (Object.hasOwn(mapOf(db.get('SR', srRef), 'other_config'), 'indestructible')) {
    throw new XapiError('SR_INDESTRUCTIBLE', srRef);
  }
  const pbd = pbdOn(double, srRef, double.master.ref);
  await onMaster(double, srRef, 'sr_attach');
  pbd.fields['currently_attached'] = true;
  try {
    await onMaster(double, srRef, 'sr_delete');
  } catch (error) {
    await onMaster(double, srRef, 'sr_detach').then(
      () => (pbd.fields['currently_attached'] = false),
      () => {},
    );
    throw error;
  }
  destroySecrets(double, mapOf(db.get('SR', srRef), 'sm_config'));
  removeRecords(double, srRef);
}

/**
 * SR.forget as user interfaces do it: unplugs every PBD, then drops the records. The disk stays as it is, and so do
 * secrets of SR.sm_config.
 */
export async function srForget(double: XapiDouble, srRef: string): Promise<void> {
  await unplugAll(double, srRef);
  removeRecords(double, srRef);
}

/** PBD.unplug of every host. */
export async function unplugAll(double: XapiDouble, srRef: string): Promise<void> {
  for (const { ref } of double.db.where('PBD', 'SR', srRef)) await pbdUnplug(double, ref);
}

function createSr(double: XapiDouble, o: SrCreateOptions, uuid: string | undefined): Row {
  return double.db.create('SR', {
    ...(uuid === undefined ? {} : { uuid }),
    name_label: o.nameLabel ?? 'SR',
    name_description: o.nameDescription ?? '',
    type: o.type,
    content_type: 'user',
    shared: o.shared ?? true,
    sm_config: { ...o.smConfig },
  });
}

async function onMaster(double: XapiDouble, srRef: string, command: string): Promise<void> {
  const type = stringOf(double.db.get('SR', srRef), 'type');
  const host = double.master.ref;
  const call = { ...srCall(double, srRef, host), command };
  (await runDriver(double, host, driverOf(double, type), call)).unit();
}

function removeRecords(double: XapiDouble, srRef: string): void {
  const { db } = double;
  for (const { ref } of db.where('VDI', 'SR', srRef)) db.destroy('VDI', ref);
  for (const pbd of db.where('PBD', 'SR', srRef)) destroyPbd(double, pbd);
  db.destroy('SR', srRef);
}
