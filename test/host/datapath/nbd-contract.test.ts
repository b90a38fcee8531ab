import { nbdFiles } from '../../../src/datapath/nbd/nbd-files.ts';
import { dataPathContract } from '../../unit/datapath/data-path-contract.ts';
import { NbdHost } from './nbd-host.ts';
import { nbdProgram } from './nbd-program.ts';

dataPathContract('NBD server of ours', () => {
  const it = new NbdHost(nbdProgram());
  return {
    host: it.host,
    dataPath: it.dataPath,
    kill: (pid) => it.kill(pid),
    nbdTarget: () => nbdFiles(it.host, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee').socket,
    remove: () => it.remove(),
  };
});
