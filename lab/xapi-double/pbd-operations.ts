import { mapOf, type Row, stringOf } from './database.ts';
import { driverOf, runDriver, srCall } from './driver.ts';
import { destroySecrets, duplicateSecrets } from './secrets.ts';
import type { XapiDouble } from './double.ts';
import { XapiError } from './xapi-error.ts';

/** PBD.create: the record, with secrets of its own. */
export function createPbd(
  double: XapiDouble,
  srRef: string,
  hostRef: string,
  deviceConfig: Readonly<Record<string, string>>,
): Row {
  const config = duplicateSecrets(double, deviceConfig);
  return double.db.create('PBD', { SR: srRef, host: hostRef, device_config: config });
}

/** PBD.destroy: the record and the secrets it names. */
export function destroyPbd(double: XapiDouble, pbd: Row): void {
  destroySecrets(double, mapOf(pbd, 'device_config'));
  double.db.destroy('PBD', pbd.ref);
}

/** PBD.plug: sr_attach on the PBD's host, unless it is attached. */
export async function pbdPlug(double: XapiDouble, pbdRef: string): Promise<void> {
  const pbd = double.db.get('PBD', pbdRef);
  if (pbd.fields['currently_attached'] === true) return;
  await run(double, pbd, 'sr_attach');
  pbd.fields['currently_attached'] = true;
}

/** PBD.unplug: sr_detach on the PBD's host; refused while a disk of the SR is attached there. */
export async function pbdUnplug(double: XapiDouble, pbdRef: string): Promise<void> {
  const pbd = double.db.get('PBD', pbdRef);
  if (pbd.fields['currently_attached'] !== true) return;
  for (const [vbdRef, hostRef] of double.attachedOn) {
    const vdi = double.db.get('VDI', stringOf(double.db.get('VBD', vbdRef), 'VDI'));
    if (hostRef === pbd.fields['host'] && vdi.fields['SR'] === pbd.fields['SR']) {
      throw new XapiError('VDI_IN_USE', vdi.ref, 'PBD.unplug');
    }
  }
  await run(double, pbd, 'sr_detach');
  pbd.fields['currently_attached'] = false;
}

async function run(double: XapiDouble, pbd: Row, command: string): Promise<void> {
  const [srRef, host] = [stringOf(pbd, 'SR'), stringOf(pbd, 'host')];
  const driver = driverOf(double, stringOf(double.db.get('SR', srRef), 'type'));
  (await runDriver(double, host, driver, { ...srCall(double, srRef, host), command })).unit();
}
