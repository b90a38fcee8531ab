import { hasCode, RbdsrError } from '../../base/error.ts';
import { printable } from '../image/image-spec.ts';
import { MAY_UNFENCE, nameInCapability } from './own-user.ts';

/** Who asks, for the sentences about what is refused. */
export interface Asker {
  /** Without `client.`. */
  readonly user: string;
  /** "the cluster at 10.0.0.11:6789". */
  readonly cluster: string;
}

/** What a capability for OSDs is about. */
export interface PoolPlace {
  readonly pool: string;
  readonly namespace?: string;
}

/** Of a user that may log in. */
export function monitorNotAllowed({ user, cluster }: Asker, command: string): RbdsrError {
  const isUnfence = / bl(?:ock|ack)list rm$/.test(command);
  return new RbdsrError('cluster-auth', {
    what: `${cluster} does not let client.${user} do what \`${command}\` needs`,
    expected: isUnfence ? `the capability mon '${UNFENCING}', or an administrator` : PROFILE,
    found: 'EACCES',
    todo: capabilityLine(user, [], isUnfence ? UNFENCING : 'profile rbd'),
    facts: { command, user, missing: 'mon' },
  });
}

const UNFENCING = `profile rbd, ${MAY_UNFENCE}`;

/** `besides`: what else the same user needs for what it asks. */
export function poolNotAllowed(
  { user, cluster }: Asker,
  place: PoolPlace,
  besides: readonly PoolPlace[] = [],
): RbdsrError {
  const { pool, namespace = '' } = place;
  const within = namespace === '' ? '' : `, namespace ${JSON.stringify(printable(namespace))}`;
  const ofOneNamespace = namespace === '' ? ' A user of one namespace alone has to name it.' : '';
  return new RbdsrError('cluster-auth', {
    what: `${cluster} does not let client.${user} use pool ${JSON.stringify(printable(pool))}${within}`,
    expected: `the capability osd '${placeCapability(place)}'`,
    found: 'EPERM',
    todo: `${capabilityLine(user, [...besides, place])}${ofOneNamespace}`,
    facts: { user, pool, ...(namespace === '' ? {} : { namespace }), missing: 'osd' },
  });
}

/** The same, where namespaces were asked for: their names are in the pool's default one. */
export function aboutNamespaces(error: unknown): unknown {
  if (!hasCode(error, 'cluster-auth') || error.detail.facts?.['missing'] !== 'osd') return error;
  const { user, pool } = error.detail.facts;
  return new RbdsrError('cluster-auth', {
    ...error.detail,
    what: `${error.detail.what}, so not list its namespaces either`,
    todo: `A user of one namespace alone has to be told its name, and may list the images there. To let it see all: ${capabilityLine(String(user), [{ pool: String(pool) }])}`,
  });
}

/** `error`, or where its user may not ask the monitors, with the line that gives it all that `place` takes. */
export function aboutPlace<E>(error: E, place: PoolPlace): E | RbdsrError {
  if (!hasCode(error, 'cluster-auth')) return error;
  const { missing, mayLack, user } = error.detail.facts ?? {};
  const line = capabilityLine(String(user), [place]);
  const isAlone = missing === 'mon' && error.detail.expected === PROFILE;
  if (!isAlone && mayLack !== 'mon') return error;
  const todo = isAlone ? line : `${error.detail.todo ?? ''} Where only the capability is missing: ${line}`;
  return new RbdsrError(error.code, { ...error.detail, todo, cause: error });
}

/** The same for who would end a fence, and uses these places besides; also what does without that capability. */
export function aboutUnfencing(error: RbdsrError, places: readonly PoolPlace[]): RbdsrError {
  const line = capabilityLine(String(error.detail.facts?.['user']), places, UNFENCING);
  return new RbdsrError(error.code, {
    ...error.detail,
    todo: `${line} Or do without: unplug and plug the PBD on that host. What is mapped anew has a new nonce, and is not fenced.`,
    cause: error,
  });
}

const PROFILE = "the capability mon 'profile rbd'";

/** The exact line: it sets all capabilities of a user at once, and nobody but an administrator sees which it has. */
function capabilityLine(user: string, places: readonly PoolPlace[], monitors = 'profile rbd'): string {
  const osds = places.length === 0 ? 'profile rbd pool=POOL' : places.map(placeCapability).join(', ');
  const argv = [`client.${user}`, 'mon', inShell(monitors), 'osd', inShell(osds)];
  return `On a host with an admin key: \`ceph auth caps ${argv.join(' ')}\`. It replaces all that the user has, which \`ceph auth get client.${user}\` shows: what must stay goes into the same line.`;
}

function placeCapability({ pool, namespace = '' }: PoolPlace): string {
  const name = (text: string): string => nameInCapability(text) ?? JSON.stringify(printable(text));
  return `profile rbd pool=${name(pool)}${namespace === '' ? '' : ` namespace=${name(namespace)}`}`;
}

function inShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
