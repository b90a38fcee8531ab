import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { encodeFault } from '../../../src/xmlrpc/encode.ts';
import { DivertedHost, seenBy } from './diverted-host.ts';
import { loadersOf, loadEntry } from './load-entry.ts';
import { pythons, treesFor } from './pythons.ts';
import { ISCSI, RBD, sr } from './requests.ts';

// iSCSI never depends on /opt/rbdsr: whatever happens to that, the stock driver runs as before, and port 6789 is
// answered with a sentence.

/** One after the other, on the same host. */
const LOSSES: readonly (readonly [what: string, lose: (host: DivertedHost) => void])[] = [
  ['the launcher is missing', (host) => host.remove('launcher.sh')],
  [
    'only the launcher and the runtime are there',
    (host) => {
      host.placeRealLauncher();
      host.placeRuntime();
    },
  ],
  [
    'an empty folder',
    (host) => {
      rmSync(host.home, { recursive: true });
      mkdirSync(host.home);
    },
  ],
  ['gone', (host) => rmSync(host.home, { recursive: true })],
];

/** What the stock driver saw; but its process, and its own paths, of which dispatch.test.ts tells. */
function seen(stdout: string): Record<string, unknown> {
  const { pid: _, argv: __, file: ___, environ: ____, ...rest } = seenBy(stdout);
  return rest;
}

function sentences(host: DivertedHost): readonly string[] {
  return [host.launcher, join(host.home, 'sm.cjs')].map((path) => {
    const text = `${path} is missing, so RBDSR is not completely installed on this host. Run its installer again.`;
    return encodeFault({ faultCode: 202, faultString: `The storage backend failed [opterr=${text}]` });
  });
}

describe.each(['/bin/dash', '/bin/bash'])('%s', (shell) => {
  test.each(
    HOST_VERSIONS.flatMap((version) => [false, true].map((separateEntry) => [version, separateEntry] as const)),
  )('on %s, entry a program of its own: %s', (version, separateEntry) => {
    using host = new DivertedHost(version, { shell, separateEntry });
    const request = sr('vdi_activate', ISCSI);
    const plain = JSON.stringify(seen(host.runPlain([request]).stdout)).replaceAll(host.plain.root, host.tree.root);
    for (const [what, lose] of LOSSES) {
      lose(host);
      const now = host.run([request]);
      expect({ code: now.code, stderr: now.stderr }, what).toEqual({ code: 0, stderr: 'stock was here\n' });
      expect(seen(now.stdout), what).toEqual(JSON.parse(plain));
      expect(sentences(host), what).toContain(host.run([sr('sr_probe', RBD)]).stdout);
    }
  });
});

describe.each(pythons())('Python $version', (python) => {
  const cases = treesFor(python).flatMap((version) => loadersOf(python).map((loader) => [version, loader] as const));
  test.each(cases)('on %s, %s loads the stock driver', (version, loader) => {
    using host = new DivertedHost(version, { python: python.program });
    const before = loadEntry(host, python.program, loader, 'LVMoISCSISR');
    rmSync(host.home, { recursive: true });
    expect(loadEntry(host, python.program, loader, 'LVMoISCSISR')).toEqual(before);
    expect(before).toMatchObject({ file: host.tree.stockFile, count: 1, is_class: true });
  });
});

test.each(pythons())('Python $version compiles what it loads to no name that xapi takes for a driver', (python) => {
  for (const version of treesFor(python).slice(-2, -1)) {
    for (const loader of loadersOf(python)) {
      using host = new DivertedHost(version, { python: python.program });
      const drivers = (): string[] => readdirSync(host.tree.smDir).filter((name) => name.endsWith('SR'));
      const before = drivers();
      loadEntry(host, python.program, loader, 'LVMoISCSISR', host.tree.entry, { PYTHONDONTWRITEBYTECODE: '' });
      expect(drivers()).toEqual(before);
      const compiled = readdirSync(host.tree.smDir, { recursive: true })
        .map(String)
        .filter((name) => name.includes('rbdsr-divert.'));
      expect(compiled.length, 'the dispatcher and its bytecode').toBe(2);
      expect(existsSync(join(host.home, '__pycache__'))).toBe(false);
      // Loaded from bytecode, it is the same.
      expect(loadEntry(host, python.program, loader, 'LVMoISCSISR')).toMatchObject({ file: host.tree.stockFile });
    }
  }
});

test.each(['/bin/dash', '/bin/bash'])(
  '%s: the dispatcher of this version, where 0.1.0 had its own and kept the stock entry',
  (shell) => {
    // Between an upgrade of /opt/rbdsr and the enable that follows it.
    using host = new DivertedHost('8.3b', { shell });
    const old = join(host.home, 'divert.py');
    cpSync(join(host.tree.smDir, 'rbdsr-divert.py'), old);
    mkdirSync(join(host.home, 'stock'));
    cpSync(host.tree.stockFile, join(host.home, 'stock/LVMoISCSISR'));
    rmSync(join(host.tree.smDir, 'rbdsr-stock'), { recursive: true });
    const env = { PYTHONPATH: host.tree.smDir };
    expect(seenBy(host.start(old, [sr('sr_scan', ISCSI)], env).stdout)).toMatchObject({
      file: join(host.home, 'stock/LVMoISCSISR'),
    });
  },
);
