import type { Answer, AttachInfo } from './answer.ts';
import { mapOf, NULL_REF, type Row, stringOf } from './database.ts';
import { driverOf, pbdOn, runDriver, srCall } from './driver.ts';
import type { DriverCall } from './request-document.ts';
import type { XapiDouble } from './double.ts';
import { XapiError } from './xapi-error.ts';

export interface VdiCreateOptions {
  readonly sr: string;
  /** Bytes. */
  readonly virtualSize: number;
  readonly nameLabel?: string;
  readonly nameDescription?: string;
  readonly type?: string;
  readonly smConfig?: Readonly<Record<string, string>>;
  readonly otherConfig?: Readonly<Record<string, string>>;
  readonly readOnly?: boolean;
  /** Newest xapi may choose the uuid. */
  readonly uuid?: string;
}

/** VDI.create: vdi_create on the master; the driver has made the record by then, and xapi looks for it. */
export async function vdiCreate(double: XapiDouble, o: VdiCreateOptions): Promise<Row> {
  const args = [
    String(o.virtualSize),
    o.nameLabel ?? 'disk',
    o.nameDescription ?? '',
    '',
    'false',
    '19700101T00:00:00Z',
    '',
    String(o.readOnly ?? false),
  ];
  const answer = await onSr(double, o.sr, double.master.ref, {
    command: 'vdi_create',
    args,
    vdiType: o.type ?? 'user',
    vdiSmConfig: o.smConfig ?? {},
    ...(o.uuid === undefined ? {} : { newVdiUuid: o.uuid }),
  });
  const vdi = answeredVdi(double, o.sr, answer);
  vdi.fields['other_config'] = { ...o.otherConfig };
  return vdi;
}

/** VDI.destroy: vdi_delete on the master. A driver that leaves the record is an offence; xapi removes it. */
export async function vdiDestroy(double: XapiDouble, vdiRef: string): Promise<void> {
  refuseInUse(double, vdiRef, 'destroy');
  (await onVdi(double, vdiRef, double.master.ref, { command: 'vdi_delete' })).unit();
  if (double.db.find('VDI', vdiRef) === undefined) return;
  double.offences.push({ call: 'vdi_delete', why: 'the record is still there' });
  double.db.destroy('VDI', vdiRef);
}

/** VDI.resize: on the master, of a disk that is not in use. */
export async function vdiResize(double: XapiDouble, vdiRef: string, bytes: number): Promise<Row> {
  refuseInUse(double, vdiRef, 'resize');
  const srRef = stringOf(double.db.get('VDI', vdiRef), 'SR');
  const call = { command: 'vdi_resize', args: [String(bytes)] };
  return answeredVdi(double, srRef, await onVdi(double, vdiRef, double.master.ref, call));
}

/** vdi_update, after a name or a snapshot's fields changed. Runs on the master unless told otherwise. */
export async function vdiUpdate(double: XapiDouble, vdiRef: string, hostRef = double.master.ref): Promise<void> {
  (await onVdi(double, vdiRef, hostRef, { command: 'vdi_update' })).unit();
}

/** VDI.snapshot: vdi_snapshot, then xapi fills in the new record and calls vdi_update. */
export async function vdiSnapshot(double: XapiDouble, vdiRef: string, time = '20260101T00:00:00Z'): Promise<Row> {
  const copy = await copyOf(double, vdiRef, 'vdi_snapshot');
  Object.assign(copy.fields, { is_a_snapshot: true, snapshot_of: vdiRef, snapshot_time: time });
  await vdiUpdate(double, copy.ref);
  return copy;
}

/** VDI.clone, as VDI.snapshot. */
export async function vdiClone(double: XapiDouble, vdiRef: string): Promise<Row> {
  const copy = await copyOf(double, vdiRef, 'vdi_clone');
  Object.assign(copy.fields, { is_a_snapshot: false, snapshot_of: NULL_REF });
  await vdiUpdate(double, copy.ref);
  return copy;
}

/** vdi_attach on a host: the VBD exists from here on, and is in use from vdi_activate on. */
export async function vdiAttach(
  double: XapiDouble,
  hostRef: string,
  vdiRef: string,
  o: { readonly writable: boolean },
): Promise<AttachInfo> {
  const call = { command: 'vdi_attach', args: [String(o.writable)] };
  const info = (await onVdi(double, vdiRef, hostRef, call)).attach(double.profile);
  if (vbdOn(double, vdiRef, hostRef) === undefined) {
    const vbd = double.db.create('VBD', { VDI: vdiRef, device: 'xvda', mode: o.writable ? 'RW' : 'RO' });
    double.attachedOn.set(vbd.ref, hostRef);
  }
  noteReadCaching(double, hostRef, vdiRef, info);
  return info;
}

export async function vdiActivate(
  double: XapiDouble,
  hostRef: string,
  vdiRef: string,
  o: { readonly writable: boolean },
): Promise<void> {
  const call = { command: 'vdi_activate', args: [String(o.writable)] };
  (await onVdi(double, vdiRef, hostRef, call)).unit();
  setInUse(double, vdiRef, hostRef, true);
}

export async function vdiDeactivate(double: XapiDouble, hostRef: string, vdiRef: string): Promise<void> {
  (await onVdi(double, vdiRef, hostRef, { command: 'vdi_deactivate' })).unit();
  setInUse(double, vdiRef, hostRef, false);
}

export async function vdiDetach(double: XapiDouble, hostRef: string, vdiRef: string): Promise<void> {
  (await onVdi(double, vdiRef, hostRef, { command: 'vdi_detach' })).unit();
  const vbd = vbdOn(double, vdiRef, hostRef);
  if (vbd === undefined) return;
  double.attachedOn.delete(vbd.ref);
  double.db.destroy('VBD', vbd.ref);
}

/** VDI.generate_config: the document static-vdis keeps for a start without xapi. */
export async function vdiGenerateConfig(double: XapiDouble, hostRef: string, vdiRef: string): Promise<string> {
  return (await onVdi(double, vdiRef, hostRef, { command: 'vdi_generate_config' })).text();
}

async function onVdi(
  double: XapiDouble,
  vdiRef: string,
  hostRef: string,
  call: Pick<DriverCall, 'command' | 'args' | 'driverParams'>,
): Promise<Answer> {
  const vdi = double.db.get('VDI', vdiRef);
  const [location, uuid] = [stringOf(vdi, 'location'), stringOf(vdi, 'uuid')];
  return onSr(double, stringOf(vdi, 'SR'), hostRef, { ...call, vdi: { ref: vdiRef, location, uuid } });
}

/** xapi runs a VDI command only where the SR is plugged. */
async function onSr(
  double: XapiDouble,
  srRef: string,
  hostRef: string,
  call: Omit<DriverCall, 'hostRef' | 'session' | 'subtaskOf' | 'sr' | 'deviceConfig'>,
): Promise<Answer> {
  if (pbdOn(double, srRef, hostRef).fields['currently_attached'] !== true) {
    throw new XapiError('SR_NOT_ATTACHED', srRef);
  }
  const driver = driverOf(double, stringOf(double.db.get('SR', srRef), 'type'));
  return runDriver(double, hostRef, driver, { ...srCall(double, srRef, hostRef), ...call });
}

/** The record a driver's answer names: by uuid, else by its location within the SR. */
function answeredVdi(double: XapiDouble, srRef: string, answer: Answer): Row {
  const { uuid, location } = answer.vdi();
  const vdis = double.db.where('VDI', 'SR', srRef);
  const vdi =
    vdis.find(({ fields }) => fields['uuid'] === uuid) ?? vdis.find(({ fields }) => fields['location'] === location);
  if (vdi === undefined) throw new XapiError('VDI_NOT_IN_MAP', srRef, uuid);
  return vdi;
}

async function copyOf(double: XapiDouble, vdiRef: string, command: string): Promise<Row> {
  const vdi = double.db.get('VDI', vdiRef);
  const call = { command, driverParams: {} };
  const copy = answeredVdi(double, stringOf(vdi, 'SR'), await onVdi(double, vdiRef, double.master.ref, call));
  for (const field of ['name_label', 'name_description', 'other_config']) {
    const value = vdi.fields[field];
    if (value !== undefined) copy.fields[field] = value;
  }
  return copy;
}

export function vbdOn(double: XapiDouble, vdiRef: string, hostRef: string): Row | undefined {
  return double.db.where('VBD', 'VDI', vdiRef).find(({ ref }) => double.attachedOn.get(ref) === hostRef);
}

function setInUse(double: XapiDouble, vdiRef: string, hostRef: string, inUse: boolean): void {
  const vbd = vbdOn(double, vdiRef, hostRef);
  if (vbd !== undefined) vbd.fields['currently_attached'] = inUse;
}

function refuseInUse(double: XapiDouble, vdiRef: string, operation: string): void {
  const used = double.db.where('VBD', 'VDI', vdiRef).some(({ fields }) => fields['currently_attached'] === true);
  if (used) throw new XapiError('VDI_IN_USE', vdiRef, operation);
}

/** What xapi writes to the VDI after each attach. */
function noteReadCaching(double: XapiDouble, hostRef: string, vdiRef: string, info: AttachInfo): void {
  const host = stringOf(double.db.get('host', hostRef), 'uuid');
  const vdi = double.db.get('VDI', vdiRef);
  const { [`read-caching-reason-${host}`]: _old, ...rest } = mapOf(vdi, 'sm_config');
  vdi.fields['sm_config'] = {
    ...rest,
    [`read-caching-enabled-on-${host}`]: String(!info.oDirect),
    ...(info.oDirect ? { [`read-caching-reason-${host}`]: info.oDirectReason } : {}),
  };
}
