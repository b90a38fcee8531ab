import type { CephxUsers } from '../access/cephx-users.ts';
import { withLocalXapi } from '../access/driver-srs.ts';
import type { Deadline } from '../base/deadline.ts';
import { messageOf } from '../base/error.ts';
import { formatBytes } from '../base/units.ts';
import { type ImageSpec, sameSpec } from '../ceph/image/image-spec.ts';
import { PLUGIN } from '../sr/hosts/plugin-name.ts';
import { callPlugin } from '../xapi/host.ts';
import type { PluggedOn } from './grow-plan.ts';

/** What one host's kernel sees of the image. */
export interface SeenSize {
  readonly host: PluggedOn;
  /** Bytes; absent where it could not be told. */
  readonly sizeBytes?: number;
  readonly problem?: string;
}

/** How long a host may take to say, ms. */
const ASK_MS = 20_000;
/** A kernel that was told takes a moment. */
const NOTICE_MS = 5000;

/** Asks every host at once, by its own plug-in, until it sees the size or a few seconds have passed. */
export function seenSizes(
  root: string,
  hosts: readonly PluggedOn[],
  image: { readonly spec: ImageSpec; readonly fsid?: string },
  sizeBytes: number,
  deadline: Deadline,
): Promise<readonly SeenSize[]> {
  return Promise.all(
    hosts.map(async (host) => {
      const soon = deadline.within(ASK_MS);
      const patience = deadline.within(NOTICE_MS);
      const ask = (): Promise<SeenSize> =>
        withLocalXapi(
          root,
          async (xapi) => {
            const text = await callPlugin(xapi, host.ref, PLUGIN, 'cephx_users', {});
            return seenBy(host, JSON.parse(text) as CephxUsers, image);
          },
          soon.leftMs,
        );
      try {
        let seen = await soon.race(ask(), `host ${host.name} to say what it sees`);
        while ((seen.sizeBytes ?? sizeBytes) < sizeBytes && !patience.expired) {
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
          seen = await soon.race(ask(), `host ${host.name} to say what it sees`);
        }
        return seen;
      } catch (error) {
        return { host, problem: messageOf(error) };
      }
    }),
  );
}

const AGAIN_MS = 500;

function seenBy(
  host: PluggedOn,
  { mappings }: CephxUsers,
  { spec, fsid }: { readonly spec: ImageSpec; readonly fsid?: string },
): SeenSize {
  const own = mappings.find((mapping) => sameSpec(mapping.spec, spec) && (mapping.fsid ?? fsid) === fsid);
  if (own === undefined) return { host, problem: 'it does not have the image mapped' };
  if (own.sizeBytes === undefined) return { host, problem: 'its RBDSR is older, and does not tell sizes' };
  return { host, sizeBytes: own.sizeBytes };
}

/** Those that do not see it, and why. Pure. */
export function unawareOf(seen: readonly SeenSize[], sizeBytes: number): readonly string[] {
  return seen.flatMap(({ host, sizeBytes: found, problem }) => {
    if (found !== undefined && found >= sizeBytes) return [];
    return [`${host.name}: ${problem ?? `its kernel still sees ${formatBytes(found ?? 0)}`}`];
  });
}
