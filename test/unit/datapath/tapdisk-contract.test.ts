import { TapdiskDataPath } from '../../../src/datapath/tapdisk/tapdisk-data-path.ts';
import { diskOfPath } from '../../../src/lvhd/disk-of-path.ts';
import { dataPathContract } from './data-path-contract.ts';
import type { ContractHost } from './data-path-contract.ts';
import { lives, tapdiskHost } from './tapdisk-host.ts';

// One of each way in which versions differ (src/dom0/host-profile.ts, datapath).
dataPathContract('tapdisk, 6.5 to 8.1', () => makeHost({ nbdLinks: false }, { blktap: '3.30.0' }));
dataPathContract('tapdisk, 8.2', () => makeHost({ closeTimeoutSeconds: 30 }, { blktap: '3.37.4' }));
dataPathContract('tapdisk, 8.3', () => makeHost({ closeTimeoutSeconds: 120 }, { blktap: '3.55.5' }));
dataPathContract('tapdisk, without kernel nodes', () =>
  makeHost({ kernelNodes: false, closeTimeoutSeconds: 120 }, { blktap: '4.0.8' }),
);

function makeHost(...[traits, list]: Parameters<typeof tapdiskHost>): ContractHost {
  const standIn = tapdiskHost(traits, list);
  return {
    host: standIn.host,
    dataPath: new TapdiskDataPath(standIn.host, diskOfPath),
    async kill(pid) {
      process.kill(pid, 'SIGKILL');
      while (lives(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    nbdTarget(pid) {
      const minor = Object.entries(standIn.minors()).find(([, one]) => one.pid === pid)?.[0];
      return `${standIn.host.paths.blktapControlDir}/nbd${pid}.${minor}`;
    },
    remove: () => standIn.remove(),
  };
}
