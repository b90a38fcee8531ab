import { runCommand } from '../sm/run-command.ts';
import { answerOneCall } from './worker.ts';

// The worker of one SM command. The dispatcher (divert.py) says when it is one for the stock iSCSI driver that is ours
// by its port.
void answerOneCall(async (argv, surroundings) => {
  if (process.env['RBDSR_DRIVER'] !== 'LVMoISCSI') return runCommand(argv, surroundings);
  const { lvmoiscsiDriver } = await import('../wizard/lvmoiscsi-driver.ts');
  return runCommand(argv, { ...surroundings, driver: lvmoiscsiDriver });
});
