import { ensureDir, writeFileAtomic } from '../../system/files.ts';
import { configOf, type Handler } from '../handler.ts';
import { textReply } from '../protocol/reply.ts';
import { imageSpecOf } from '../../sr/config/sr-type.ts';
import { keyringFolder, keyringText, staticConfig } from '../../sr/config/static-config.ts';
import { srOf, vdiOf } from '../../sr/work/subject.ts';

/**
 * What this host needs to attach the disk at boot, with xapi down. The key stays on this host, in a file only root
 * reads.
 */
export const handler: Handler = async (call) => {
  const sr = srOf(call);
  const config = await configOf(call);
  imageSpecOf(config);
  const folder = keyringFolder(call.profile.paths.root);
  const keyring = `${folder}/${sr}.keyring`;
  ensureDir(folder, 0o700);
  const access = await config.access(call);
  writeFileAtomic(keyring, keyringText(access), 0o600);
  return textReply(staticConfig({ sr, vdi: vdiOf(call), deviceConfig: config.frozen(keyring, access) }));
};
