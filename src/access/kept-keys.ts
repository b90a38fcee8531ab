import { KEPT_SECRET } from './kept-key.ts';
import type { StringMap } from '../xapi/values.ts';

/**
 * What a diverted SR keeps in SR.sm_config so that a plug needs neither SSH, nor the password that was typed, nor the
 * monitor that was typed. device_config will not do: xapi overwrites every PBD's after sr_create, and the secrets it
 * names die with the first PBD.
 *
 * xapi changes a map key by key, and a key by removing and adding it. So what stands under a `next` key counts before
 * the key itself: whoever changes one writes the next one, then the key, then removes the next one (`change-kept.ts`).
 * A user and its secret change together: the next user stands under the name of its secret.
 */
export const KEPT = {
  /** Every monitor of the cluster, as the kernel takes them. */
  monitors: 'rbd_monitors',
  user: 'rbd_user',
  secret: KEPT_SECRET,
  /** "true" where RBDSR made the user, so that sr_delete removes it. */
  ownUser: 'rbd_own_user',
  /** The SSH host key that was seen last: a line of known_hosts. */
  hostKey: 'rbd_host_key',
  nextMonitors: 'rbd_next_monitors',
  nextSecret: 'rbd_next_password_secret',
  nextHostKey: 'rbd_next_host_key',
} as const;

/** Before the uuid of a next secret: the user whose key is in it. */
export const NEXT_USER = 'rbd_next_user_';

/**
 * Before the name of a cephx user that RBDSR made, that the SR uses no more, and that hosts may still have the image
 * mapped by.
 */
export const FORMER_USER = 'rbd_former_user_';

/** SR.sm_config, read at one moment. */
export interface KeptKeys {
  readonly monitors: string;
  readonly user: string;
  /** The uuid of a xapi secret. */
  readonly secret: string;
  readonly ownUser: boolean;
  readonly hostKey?: string;
  readonly formerUsers: readonly string[];
}

/** Undefined where nothing is kept. */
export function readKept(map: StringMap): KeptKeys | undefined {
  const nextSecret = map[KEPT.nextSecret];
  const secret = nextSecret ?? map[KEPT.secret];
  const user = nextSecret === undefined ? map[KEPT.user] : map[`${NEXT_USER}${nextSecret}`];
  const monitors = map[KEPT.nextMonitors] ?? map[KEPT.monitors];
  const hostKey = hostKeyIn(map);
  if (monitors === undefined || user === undefined || secret === undefined) return undefined;
  return {
    monitors,
    user,
    secret,
    ownUser: map[KEPT.ownUser] === 'true',
    ...(hostKey === undefined ? {} : { hostKey }),
    formerUsers: formerUsers(map).filter((former) => former !== user),
  };
}

/** The host key that the SR has seen, whatever else it keeps. */
export function hostKeyIn(map: StringMap): string | undefined {
  return map[KEPT.nextHostKey] ?? map[KEPT.hostKey];
}

function formerUsers(map: StringMap): readonly string[] {
  return Object.keys(map).flatMap((key) => (key.startsWith(FORMER_USER) ? [key.slice(FORMER_USER.length)] : []));
}
