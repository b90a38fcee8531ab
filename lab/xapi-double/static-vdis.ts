import { type AttachInfo, readAnswer } from './answer.ts';
import { stringOf } from './database.ts';
import { driverOf } from './driver.ts';
import type { XapiDouble } from './double.ts';

/**
 * What `static-vdis` does at boot with the document vdi_generate_config gave: runs the driver with it, without a
 * session.
 */
export async function attachFromConfig(
  double: XapiDouble,
  hostRef: string,
  type: string,
  document: string,
): Promise<AttachInfo | string> {
  const result = await double.hostPort.exec(hostUuid(double, hostRef), driverOf(double, type), document);
  return readAnswer(result, {}).attachFromConfig(double.profile);
}

/** The same document with the other command (8.x). */
export async function detachFromConfig(
  double: XapiDouble,
  hostRef: string,
  type: string,
  document: string,
): Promise<void> {
  const detach = document.replaceAll('vdi_attach_from_config', 'vdi_detach_from_config');
  readAnswer(await double.hostPort.exec(hostUuid(double, hostRef), driverOf(double, type), detach), {}).unit();
}

function hostUuid(double: XapiDouble, hostRef: string): string {
  return stringOf(double.db.get('host', hostRef), 'uuid');
}
