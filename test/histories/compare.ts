import type { Disk } from './model.ts';
import { Difference } from './difference.ts';
import type { History } from './perform.ts';

/** Every disk of which everybody knows what it holds, as its guest reads it, and as it lies on the device. */
export async function compareDisks(history: History): Promise<void> {
  const { hosts, model, counts } = history;
  const known = model.known().filter(({ uuid }) => !hosts.isHeldBack(uuid));
  for (const disk of known)
    for (const host of disk.uses.keys()) {
      const read = await history.guest(disk, host)?.read(disk.content.length);
      if (read !== undefined) mustBe(disk, read, `its guest on host ${host} reads`);
    }
  const sight = await hosts.sight();
  for (const disk of known) {
    if (sight.tree.find(disk.uuid) === undefined) throw new Difference(`disk ${disk.name} has no volume`);
    mustBe(disk, await sight.read(disk.uuid), 'it holds');
    counts.compared += 1;
  }
}

function mustBe({ name, content }: Disk, found: Buffer, who: string): void {
  if (found.equals(content)) return;
  if (found.length !== content.length)
    throw new Difference(`disk ${name}: ${who} ${found.length} bytes, not ${content.length}`);
  const at = found.findIndex((byte, index) => byte !== content[index]);
  const isZero = found.subarray(at, at + 512).every((byte) => byte === 0);
  throw new Difference(`disk ${name}: at byte ${at} ${who} ${isZero ? 'zeroes' : 'other bytes'}`);
}
