import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

export interface CephTranscript {
  readonly version: string;
  /** The version that answers what this one has no row for. */
  readonly like?: string;
  readonly how: string;
  readonly calls: readonly CephCall[];
}

export interface CephCall {
  /** Of the users, or of the image, that the call is about. */
  readonly state: string;
  /** With the program's name, without what stands for the connection. */
  readonly argv: string;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The state after the call, where it is another. */
  readonly becomes?: string;
  /** Where it was read, of a version that was not run. */
  readonly source?: string;
}

const FOLDER = `${import.meta.dirname}/../../fixtures/ceph-tools`;
/** Begins the line that a stand-in notes down for a call that nothing was recorded of. */
const UNRECORDED = 'UNRECORDED';

/** A version in test/fixtures/ceph-tools, as its file has it. */
export function cephTranscript(version: string): CephTranscript {
  return JSON.parse(readFileSync(join(FOLDER, `${version}.json`), 'utf8'));
}

/** What a version answers: rows of its own, then those of the version that it is like. */
export function cephCalls(version: string): readonly CephCall[] {
  const { like, calls } = cephTranscript(version);
  const own = new Set(calls.map(cephCallKey));
  return like === undefined ? calls : [...calls, ...cephCalls(like).filter((call) => !own.has(cephCallKey(call)))];
}

export function cephCallKey({ state, argv }: Pick<CephCall, 'state' | 'argv'>): string {
  return `${state}: ${argv}`;
}

export interface CephStandInOptions {
  readonly state: string;
  /** Default 16.2.15, which was recorded. */
  readonly version?: string;
  /** By the number of calls before: what somebody else has made of it by then. */
  readonly meanwhile?: Readonly<Record<number, string>>;
}

/**
 * `rbd` and `ceph` of one version: each call is answered as it was recorded in the state that the cluster is in. One
 * that has no row fails, and fails the test.
 */
export class CephStandIn {
  /** Where the two programs are. */
  readonly folder: string;
  readonly #log: string;

  constructor(folder: string, o: CephStandInOptions) {
    this.folder = folder;
    this.#log = join(folder, 'calls');
    mkdirSync(folder, { recursive: true });
    this.state = o.state;
    writeFileSync(this.#log, '');
    const settings = { calls: cephCalls(o.version ?? '16.2.15'), meanwhile: o.meanwhile ?? {} };
    writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
    const program = `${import.meta.dirname}/recorded-ceph.mjs`;
    for (const name of ['ceph', 'rbd']) {
      const text = `#!/bin/sh\nexec '${process.execPath}' '${program}' '${folder}' ${name} "$@"\n`;
      writeFileSync(join(folder, name), text, { mode: 0o755 });
    }
  }

  get state(): string {
    return readFileSync(join(this.folder, 'state'), 'utf8');
  }

  set state(state: string) {
    writeFileSync(join(this.folder, 'state'), state);
  }

  /** In order. */
  get calls(): readonly string[] {
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }

  /** Fails for a call that nothing was recorded of. */
  check(): void {
    expect(this.calls.filter((call) => call.startsWith(UNRECORDED))).toEqual([]);
  }
}

/** For one test, which fails at its end for a call without a row. */
export function cephStandIn(folder: string, o: CephStandInOptions): CephStandIn {
  const standIn = new CephStandIn(folder, o);
  onTestFinished(() => standIn.check());
  return standIn;
}
