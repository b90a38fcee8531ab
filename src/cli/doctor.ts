import { findLeavings } from '../host/leavings.ts';
import type { CliCall } from './cli-call.ts';
import { renderTable } from './table.ts';

/** `rbdsr doctor`: what forgotten SRs have left behind. Changes nothing. 1 when there is something, or xapi cannot be asked. */
export async function showLeavings(call: CliCall, json: boolean): Promise<number> {
  const { leavings, problem } = await findLeavings(call.root);
  if (json) call.print(`${JSON.stringify({ leavings, problem }, undefined, 2)}\n`);
  else {
    call.print(
      leavings.length === 0
        ? 'Nothing was left behind on this host.\n'
        : renderTable(
            ['what', 'name', 'to take it away'],
            leavings.map(({ kind, name, todo }) => [kind, name, todo]),
          ),
    );
    for (const { name, why } of leavings) call.print(`\n${name}: ${why}\n`);
    if (problem !== undefined) call.stderr.write(`\n${problem}\n`);
  }
  return leavings.length === 0 && problem === undefined ? 0 : 1;
}
