// Loaded before the built command (node --require): where a fault point would kill it, the host's folder is copied, and
// it goes on to the next. A fault point is synchronous and a killed process has no say any more, so the copy is what
// the kill would have left.
const { cpSync } = require('node:fs');

const { RBDSR_ROOT, COPIES, POINT, FROM, EVERY } = process.env;
const { kill } = process;
let pass = Number(FROM);
process.env.RBDSR_FAULT = `${POINT}:${pass}`;

process.kill = (pid, signal) => {
  if (pid !== process.pid || signal !== 'SIGKILL') return kill.call(process, pid, signal);
  cpSync(RBDSR_ROOT, `${COPIES}/${pass}`, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  pass += Number(EVERY);
  process.env.RBDSR_FAULT = `${POINT}:${pass}`;
  return true;
};
