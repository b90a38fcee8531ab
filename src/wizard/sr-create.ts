import { messageOf } from '../base/error.ts';
import type { Handler, SmCall } from '../sm/handler.ts';
import { allPbds } from '../xapi/pbd.ts';
import { destroySecret } from '../xapi/secret.ts';
import { discover } from './discover.ts';
import { DivertedConfig } from '../access/diverted-config.ts';

/**
 * XenCenter discovers by creating: an sr_create without a pool or an image answers as the probe does and makes nothing.
 * xapi then drops the PBDs it had made for it, and would leave their secrets behind.
 */
export const handler: Handler = async (call) => {
  const config = new DivertedConfig(call.request.deviceConfig);
  if (config.wizard.step !== 'chosen') {
    const answer = await discover(call, config);
    await destroyPbdSecrets(call).catch((error: unknown) => call.log.warn(`secrets are left: ${messageOf(error)}`));
    return answer;
  }
  return (await import('../sm/handlers/sr-create.ts')).handler(call);
};

async function destroyPbdSecrets(call: SmCall): Promise<void> {
  const { srRef } = call.request;
  if (srRef === undefined) return;
  const xapi = await call.xapi();
  for (const { sr, deviceConfig } of await allPbds(xapi)) {
    if (sr !== srRef) continue;
    for (const [key, uuid] of Object.entries(deviceConfig)) {
      if (key.endsWith('password_secret')) await destroySecret(xapi, uuid);
    }
  }
}
