import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { OWN_USER_PREFIX } from '../../ceph/control/own-user.ts';
import { readKept } from '../../access/kept-keys.ts';
import type { SrRecord } from '../../xapi/sr.ts';
import type { Leaving } from './leavings.ts';

/** The cephx users of a cluster that some RBDSR made and that no SR of this pool uses. */
export async function leftUsers(
  host: MonitorHost,
  srs: readonly SrRecord[],
  deadline: Deadline,
): Promise<readonly Leaving[]> {
  const names = await host.ownUsers(deadline).catch((error: unknown) => {
    throw hasCode(error, 'sudo-refused') ? notShown(error) : error;
  });
  return names.flatMap((name) => leavingOf(name, srs));
}

function leavingOf(name: string, srs: readonly SrRecord[]): readonly Leaving[] {
  const [, uuid] = new RegExp(`^${OWN_USER_PREFIX}(${UUID})(?:-[0-9]+)?$`).exec(name) ?? [];
  const sr = srs.find((record) => record.uuid === uuid);
  const kept = sr === undefined ? undefined : readKept(sr.smConfig);
  if (kept?.user === name) return [];
  const leaving = {
    kind: 'cephx user',
    name: `client.${name}`,
    todo: `on a monitor: ceph auth rm client.${name}`,
  } as const;
  if (sr === undefined) {
    const why =
      uuid === undefined
        ? 'a cephx user whose name RBDSR gives, of no SR that can be told from it'
        : `the cephx user of SR ${uuid}, which is not in this pool. Make sure that no other pool has it: its image would be lost to that one`;
    return [{ ...leaving, why }];
  }
  if (kept?.formerUsers.includes(name) === true) {
    const why = `a cephx user that SR ${sr.uuid} used before a rekey`;
    return [{ ...leaving, why, todo: `rbdsr rekey ${sr.uuid} --remove-old` }];
  }
  return [
    {
      ...leaving,
      why: `a cephx user made for SR ${sr.uuid}, which uses ${kept === undefined ? 'none' : `client.${kept.user}`}`,
    },
  ];
}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** The short sudoers list of the document leaves this one out. */
function notShown(error: RbdsrError): RbdsrError {
  return new RbdsrError(error.code, {
    ...error.detail,
    todo: "Ceph lists its users only with their keys, client.admin's among them: name an administrator of the cluster with --ssh-user, or run `ceph auth ls` on the monitor yourself.",
  });
}
