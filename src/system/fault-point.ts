import { RbdsrError } from '../base/error.ts';

/**
 * A named place where the tests make this process die, to show that what it leaves behind is recovered. `RBDSR_FAULT`
 * chooses one: `name` kills the process (SIGKILL) there, `name:2` on the second pass, and `!error` after either throws
 * 'fault-point' instead.
 */
export function faultPoint(name: string): void {
  const wanted = process.env['RBDSR_FAULT'];
  if (wanted === undefined || wanted === '') return;
  const [, wantedName, wantedPass, effect] = /^([^:!]+)(?::([0-9]+))?(!error)?$/.exec(wanted) ?? [];
  if (wantedName !== name) return;
  const pass = (passes.get(name) ?? 0) + 1;
  passes.set(name, pass);
  if (pass !== Number(wantedPass ?? 1)) return;
  if (effect !== undefined)
    throw new RbdsrError('fault-point', { what: `the fault point ${name} was reached`, facts: { name, pass } });
  process.kill(process.pid, 'SIGKILL');
}

const passes = new Map<string, number>();
