import { printable } from '../../ceph/image/image-spec.ts';
import { checkVhd } from '../../vhd/check/check.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { openImageFile, refuseStranger } from './image-file.ts';

/** `rbdsr vhd check`: every finding about one image, its parents left aside. 0 when it is sound. */
export async function showCheck(
  call: CliCall,
  path: string,
  o: { readonly json?: true; readonly inUse?: true },
): Promise<number> {
  const io = await openImageFile(path);
  try {
    await refuseStranger(io);
    const findings = await checkVhd(io, { endFooterOptional: o.inUse === true });
    const sound = findings.every(({ severity }) => severity !== 'error');
    if (o.json === true) {
      call.print(jsonText({ file: path, sound, findings }));
    } else {
      for (const { severity, code, message } of findings) call.print(`${severity}: ${printable(message)} (${code})\n`);
      call.print(`${printable(path)} is ${sound ? 'sound' : 'not sound'}\n`);
    }
    return sound ? 0 : 1;
  } finally {
    await io.close();
  }
}
