import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Cluster } from '../../../lab/cluster/cluster.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { type CephCall, cephTranscript } from '../../support/stand-ins/recorded-ceph.ts';
import { recordCephTools } from './tool-story.ts';

/** A file that gets the transcript, as test/fixtures/ceph-tools has it. */
const RECORD = process.env['RBDSR_RECORD'];

test("this machine's rbd and ceph still answer as they were recorded to", { timeout: 900_000 }, async () => {
  await sweepDeadRuns();
  const run = RunFolder.create();
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-tools-'));
  try {
    const cluster = await Cluster.start(run, { name: 'transcript' });
    try {
      await cluster.createPool('xen');
      const [, version = ''] = /^ceph version ([0-9.]+)/.exec(await cluster.tool('ceph', '--version')) ?? [];
      const now = await recordCephTools(cluster, folder);
      if (RECORD !== undefined) writeFileSync(RECORD, transcriptText(version, now));
      else {
        const recorded = cephTranscript(version).calls;
        expect(now.map(({ argv }) => argv)).toEqual(recorded.map(({ argv }) => argv));
        for (const [at, call] of now.entries()) {
          expect(manners(call), call.argv).toEqual(manners(recorded[at] ?? call));
        }
      }
    } finally {
      await cluster.destroy();
    }
  } finally {
    await sweepRun(run.id);
    rmSync(folder, { recursive: true });
  }
});

/** Without what is another at each run: keys, ids, times, addresses. */
function manners({ stdout, stderr, ...rest }: CephCall): unknown {
  const plain = (text: string): string =>
    text
      .replaceAll(/\b[A-Za-z0-9+/]{38}==/g, 'KEY')
      .replaceAll(
        /"(fsid|[a-z_]*id|block_name_prefix|object_prefix|[a-z_]*timestamp|modified|created)": ?"[^"]*"/g,
        '"$1":""',
      )
      .replaceAll(/\d+\.\d+\.\d+\.\d+:\d+/g, 'ADDRESS')
      .replaceAll(/\d{4}-\d\d-\d\dT[0-9:.+]*( [0-9a-f]{12})?/g, 'TIME')
      .replaceAll(/"(last_[a-z_]*|create_time|epoch|snap_epoch|pg_num[a-z_]*)": ?("[^"]*"|\d+)/g, '"$1":0')
      .replaceAll(/(until|expire[sd]?) \S+( \(\d+ sec\))?/g, '$1 TIME')
      .replaceAll(/epoch \d+/g, 'epoch N');
  const isOfMoment = /^ceph (?:osd dump|df) /.test(rest.argv);
  return { ...rest, stdout: isOfMoment ? membersOf(stdout) : plain(stdout), stderr: wordsOf(plain(stderr)) };
}

/** In any order: what the program says and what its library logs are written at the same time, into each other. */
function wordsOf(stderr: string): readonly string[] {
  return stderr.split(/\s+/).toSorted();
}

/** Of a dump nothing but its members, and those of a pool: the rest is of this moment. */
function membersOf(stdout: string): unknown {
  const dump = JSON.parse(stdout) as { readonly pools: readonly object[] };
  return [dump, ...dump.pools.slice(0, 1)].map((part) => Object.keys(part));
}

function transcriptText(version: string, calls: readonly CephCall[]): string {
  const how = 'on a cluster of this version, by test/host/ceph/tool-transcript.test.ts with RBDSR_RECORD=FILE';
  const rows = calls.map((call) => `    ${JSON.stringify(call)}`).join(',\n');
  return `{\n  "version": "${version}",\n  "how": "${how}",\n  "calls": [\n${rows}\n  ]\n}\n`;
}
