import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { type LookOptions, takePicture } from './look.ts';
import { treeText } from './tree-text.ts';

/** `rbdsr tree`: the chains of an SR. 1 when some of it could not be looked at. */
export async function showTree(call: CliCall, sr: string | undefined, o: LookOptions): Promise<number> {
  const picture = await takePicture(call, sr, o);
  call.print(o.json === true ? jsonText(picture) : treeText(picture));
  return picture.missing.some(({ wanted }) => wanted) ? 1 : 0;
}
