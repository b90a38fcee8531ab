import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import type { VdiUuid } from '../../../src/base/ids.ts';
import type { LoopPool } from '../../support/loop-pool.ts';

export interface GcEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** One behind the other. */
  readonly output: string;
  readonly signal: string | undefined;
}

export interface GcOptions {
  /** By its place in the pool; default the master. */
  readonly host?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** What starts it. */
  readonly prefix?: readonly string[];
}

/** The SR of a pool: `rbdsr gc` of it, and its disks as xapi has them. */
export class CollectedSr {
  readonly pool: LoopPool;

  constructor(pool: LoopPool) {
    this.pool = pool;
  }

  get srUuid(): string {
    return stringOf(this.pool.double.db.get('SR', this.pool.srRef), 'uuid');
  }

  records(): Row[] {
    return this.pool.double.db.where('VDI', 'SR', this.pool.srRef);
  }

  record(uuid: VdiUuid): Row | undefined {
    return this.records().find((row) => stringOf(row, 'uuid') === uuid);
  }

  smConfig(uuid: VdiUuid): Readonly<Record<string, string>> {
    return mapOf(this.record(uuid) as Row, 'sm_config');
  }

  runGc(args: readonly string[], { host = 0, environment = {}, prefix = [] }: GcOptions = {}): Promise<GcEnd> {
    const cli = [process.execPath, join(this.pool.product, 'cli.cjs'), 'gc', this.srUuid, ...args];
    const [program = '', ...argv] = [...prefix, ...cli];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: this.pool.root(host), ...environment };
    return new Promise((resolve) => {
      execFile(program, argv, { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, stdout, stderr, output: stdout + stderr, signal: error?.signal ?? undefined });
      });
    });
  }
}
