import { srUuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { collectSr, type Following, planOfSr } from '../../gc/collect-sr.ts';
import { planInWords } from '../../gc/plan-in-words.ts';
import type { GcPlan, GcStep, NodeThatStays } from '../../gc/step.ts';
import type { CliCall } from '../cli-call.ts';

export interface GcOptions {
  readonly dryRun?: true;
  readonly json?: true;
}

/**
 * `rbdsr gc`: removes what no disk needs any more of an SR, and merges what needs not be two; or says what it would do.
 * Safe to interrupt (docs/recovery.md). 1 where something was tried in vain.
 */
export async function collectGarbage(call: CliCall, sr: string, o: GcOptions): Promise<number> {
  const uuid = srUuid(sr);
  const json = o.json === true;
  const following = followed(call, json);
  if (o.dryRun === true) {
    const plan = await planOfSr(call.root, uuid, following);
    call.print(json ? asJson({ plan: stepsOf(plan) }) : `${linesOf(plan)}\nNothing was changed (--dry-run).\n`);
    return 0;
  }
  const { done, failed, left } = await collectSr(call.root, uuid, following);
  if (json) call.print(asJson({ done, failed, plan: stepsOf(left) }));
  else {
    for (const line of failed) call.print(`not done: ${line}\n`);
    call.print(`${done.length} done, ${failed.length} not.\n`);
    if (left.steps.length + left.left.length > 0) call.print(`\nWhat stays:\n${linesOf(left)}`);
  }
  return failed.length === 0 ? 0 : 1;
}

function linesOf(plan: GcPlan): string {
  const lines = planInWords(plan);
  return lines.length === 0 ? 'Nothing to collect.\n' : lines.map((line) => `${line}\n`).join('');
}

function stepsOf({ steps, left }: GcPlan): readonly object[] {
  return [...steps, ...left].map(stepAsJson);
}

function stepAsJson(step: GcStep | NodeThatStays): object {
  const { kind, why, node } = step;
  return {
    kind,
    vdi: node.uuid,
    ...('into' in step ? { into: step.into.uuid } : {}),
    ...('room' in step ? { grows_by: step.room.growsByBytes, needs: step.room.neededBytes } : {}),
    why,
    ...('usedOn' in step ? { used_on: step.usedOn } : {}),
    ...('waitsFor' in step ? { waits_for: step.waitsFor } : {}),
  };
}

function asJson(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

const BAR = 40;

/** A bar on a terminal, and a line for each tenth in a log. With `json` both go to stderr. */
function followed(call: CliCall, json: boolean): Following {
  const out = json ? call.stderr : call.stdout;
  const isTerminal = 'isTTY' in out && out.isTTY === true;
  let said = 0;
  return {
    log: logTo(call),
    tells: (line) => {
      said = 0;
      out.write(`${line}\n`);
    },
    progress: (done, all) => {
      const tenths = Math.floor((10 * done) / all);
      if (isTerminal) {
        const full = Math.floor((BAR * done) / all);
        out.write(
          `\r[${'#'.repeat(full)}${' '.repeat(BAR - full)}] ${done} of ${all} blocks${done === all ? '\n' : ''}`,
        );
      } else if (tenths > said) {
        said = tenths;
        out.write(`  ${done} of ${all} blocks\n`);
      }
    },
  };
}

function logTo({ stderr }: CliCall): Log {
  const say = (message: string): void => void stderr.write(`${message}\n`);
  return { debug: () => {}, info: () => {}, warn: say, error: say };
}
