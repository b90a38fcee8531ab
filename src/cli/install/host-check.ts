import { messageOf } from '../../base/error.ts';
import { checkHost, titleOf } from '../../installer/check-host.ts';
import { type Finding, isWell } from '../../installer/changing/finding.ts';
import { type Host, openHost } from '../../installer/host.ts';
import { checkPool, type PoolMember } from '../../installer/pool-check.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { renderFields, renderTable } from '../table.ts';

export interface HostCheckOptions {
  readonly json?: true;
  readonly pool?: true;
}

/** `rbdsr check`: every part, whether it is well, and how to mend it. 0 only when all is well. */
export async function checkInstallation(call: CliCall, options: HostCheckOptions): Promise<number> {
  const host = openHost(call.root, call.versionLine);
  const findings = await checkHost(host);
  const { members, problem } = options.pool === true ? await poolOf(host) : { members: [], problem: undefined };
  const well = findings.every(isWell) && members.every(({ state }) => state === 'same') && problem === undefined;
  if (options.json === true) {
    const pool = options.pool === true ? { pool: members, problem } : {};
    const head = { version: host.product, host: titleOf(host), profile: host.profile.id, well };
    call.print(jsonText({ ...head, findings, ...pool }));
    return well ? 0 : 1;
  }
  call.print(
    renderFields([
      ['RBDSR', host.product],
      ['host', titleOf(host)],
      ['taken for', host.profile.id],
    ]),
  );
  call.print(`\n${tableOf(findings)}`);
  if (members.length > 0) call.print(`\n${poolTable(members)}`);
  if (problem !== undefined) call.stderr.write(`rbdsr: ${problem}\n`);
  call.print(well ? '\nAll is well.\n' : '\nNot all is well.\n');
  return well ? 0 : 1;
}

/** xapi may be down when somebody looks; the rest is still worth showing. */
async function poolOf(host: Host): Promise<{ readonly members: readonly PoolMember[]; readonly problem?: string }> {
  try {
    return { members: await checkPool(host) };
  } catch (error) {
    return { members: [], problem: `the other hosts of the pool could not be asked: ${messageOf(error)}` };
  }
}

const WORDS: Readonly<Record<Finding['state'], string>> = {
  ok: 'ok',
  'not-needed': '-',
  missing: 'MISSING',
  changed: 'CHANGED',
  attention: 'LOOK',
};

function tableOf(findings: readonly Finding[]): string {
  const rows = findings.map(({ part, path, state, what, todo }, index) => [
    findings[index - 1]?.part === part ? '' : part,
    WORDS[state],
    [path, what].filter((text) => text !== undefined).join(' '),
    todo ?? '',
  ]);
  return renderTable(['part', 'state', 'what is there', 'to mend it'], rows);
}

const MEMBER_WORDS: Readonly<Record<PoolMember['state'], string>> = {
  same: 'ok',
  'other-version': 'OTHER',
  none: 'NONE',
  unknown: 'UNKNOWN',
};

const MEMBER_TODO: Readonly<Record<PoolMember['state'], string>> = {
  same: '',
  'other-version': 'install the same version on every host',
  none: 'install RBDSR there and run rbdsr enable before its toolstack restarts: from xapi 25.20 that takes the SR types that it lacks from the whole pool',
  unknown: '',
};

function poolTable(members: readonly PoolMember[]): string {
  const rows = members.map(({ name, state, version, problem }) => [
    name,
    MEMBER_WORDS[state],
    version ?? '',
    problem ?? MEMBER_TODO[state],
  ]);
  return renderTable(['host of the pool', 'state', 'version', 'to mend it'], rows);
}
