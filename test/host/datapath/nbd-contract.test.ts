import { afterAll, beforeAll } from 'vitest';
import { nbdFiles } from '../../../src/datapath/nbd-files.ts';
import { dataPathContract } from '../../unit/datapath/data-path-contract.ts';
import { NbdHost } from './nbd-host.ts';
import { buildNbdProgram } from './nbd-program.ts';

let program: Awaited<ReturnType<typeof buildNbdProgram>>;
beforeAll(async () => {
  program = await buildNbdProgram();
});
afterAll(() => program.remove());

dataPathContract('NBD server of ours', () => {
  const it = new NbdHost(program.command);
  return {
    host: it.host,
    dataPath: it.dataPath,
    kill: (pid) => it.kill(pid),
    nbdTarget: () => nbdFiles(it.host, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee').socket,
    remove: () => it.remove(),
  };
});
