import { ensureDir, writeFileAtomic } from '../../system/files.ts';
import { srOf } from '../attached-sr.ts';
import { clusterOf } from '../cluster-access.ts';
import { imageSpecOf, parseDeviceConfig } from '../device-config.ts';
import type { Handler } from '../handler.ts';
import { textReply } from '../reply.ts';
import { keyringText, staticConfig } from '../static-config.ts';
import { vdiOf } from '../vdi-request.ts';

/** What this host needs to attach the disk at boot, with xapi down. The key stays on this host, in a file only root reads. */
export const handler: Handler = async (call) => {
  const sr = srOf(call);
  const { deviceConfig } = call.request;
  const config = parseDeviceConfig(deviceConfig);
  imageSpecOf(config);
  const folder = `${call.profile.paths.root}/etc/rbdsr/keys`;
  const keyring = `${folder}/${sr}.keyring`;
  ensureDir(folder, 0o700);
  writeFileAtomic(keyring, keyringText(await clusterOf(call, config)), 0o600);
  return textReply(staticConfig({ sr, vdi: vdiOf(call), deviceConfig, keyring }));
};
