import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { PoolWithCluster, Result } from './pool-with-cluster.ts';

type Fields = Readonly<Record<string, string>>;

/** An SR that a command changes what it keeps of. */
export interface Subject {
  readonly uuid: string;
  readonly row: Row;
  readonly pbds: readonly Row[];
  /** The command, with this in its environment. */
  readonly call: (env?: Record<string, string>) => Promise<Result>;
  /** What the command makes the SR use. */
  readonly goal: Goal;
  readonly began: Standing;
  /** Of all xapi, before the command. */
  readonly secrets: readonly string[];
}

export interface Goal {
  readonly user?: string;
  /** Of the user, or the password. */
  readonly value?: string;
  /** Of SR.sm_config. */
  readonly map?: Fields;
  /** Of each PBD; `undefined` for a key that goes. The secret is one with `value`. */
  readonly pbd?: Readonly<Record<string, string | undefined>>;
  /** The user of before goes from the cluster. */
  readonly former?: 'gone';
}

/** Where a change stands: what is read, and the secrets that hold it. */
export interface Standing {
  /** SR.sm_config. */
  readonly map: Fields;
  /** The device_config of each PBD. */
  readonly pbds: readonly Fields[];
}

export function subjectOf(
  pool: PoolWithCluster,
  { row, pbds, call, goal }: Pick<Subject, 'row' | 'pbds' | 'call' | 'goal'>,
): Subject {
  const uuid = stringOf(row, 'uuid');
  return { uuid, row, pbds, call, goal, began: standingOf({ row, pbds }), secrets: secretsOf(pool).map(uuidOf) };
}

export function standingOf({ row, pbds }: Pick<Subject, 'row' | 'pbds'>): Standing {
  return { map: mapOf(row, 'sm_config'), pbds: pbds.map((pbd) => mapOf(pbd, 'device_config')) };
}

/** The secrets that the command has made, and how many of before are gone. */
export function secretsSince(pool: PoolWithCluster, { secrets }: Subject): { made: readonly Row[]; gone: number } {
  const now = secretsOf(pool);
  const left = now.map(uuidOf);
  return {
    made: now.filter((row) => !secrets.includes(uuidOf(row))),
    gone: secrets.filter((uuid) => !left.includes(uuid)).length,
  };
}

export function valueOf(pool: PoolWithCluster, uuid = ''): unknown {
  return pool.xapi.db.where('secret', 'uuid', uuid)[0]?.fields['value'];
}

function secretsOf({ xapi }: PoolWithCluster): readonly Row[] {
  return xapi.db.all('secret');
}

function uuidOf(row: Row): string {
  return stringOf(row, 'uuid');
}
