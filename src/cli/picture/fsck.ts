import { srFindings } from '../../picture/fsck/find-all.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { fsckText } from './fsck-text.ts';
import { type LookOptions, takePicture } from './look.ts';

/** `rbdsr fsck`: what is wrong with an SR. 0 when nothing is, and everything could be looked at. */
export async function checkSr(call: CliCall, sr: string | undefined, o: LookOptions): Promise<number> {
  const picture = await takePicture(call, sr, o);
  const findings = srFindings(picture);
  call.print(o.json === true ? jsonText({ findings, picture }) : fsckText(picture, findings));
  return findings.length > 0 || picture.missing.some(({ wanted }) => wanted) ? 1 : 0;
}
