import type { CliCall } from '../cli-call.ts';
import { type LookOptions, takePicture } from './look.ts';
import { treeText } from './tree-text.ts';

/** `rbdsr tree`: the chains of an SR. 1 when some of it could not be looked at. */
export async function showTree(call: CliCall, sr: string | undefined, o: LookOptions): Promise<number> {
  const picture = await takePicture(call, sr, o);
  call.print(o.json === true ? `${JSON.stringify(picture, undefined, 2)}\n` : treeText(picture));
  return picture.missing.some(({ wanted }) => wanted) ? 1 : 0;
}
