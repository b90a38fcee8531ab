import { subject } from './disk-findings.ts';
import { about, type Examined } from './examined.ts';
import type { SrFinding } from './finding.ts';

const HERE = 'this host';

/** What this host has active, against why it should have. */
export function hostFindings({ picture, chains, byUuid }: Examined): readonly SrFinding[] {
  const { host } = picture;
  if (host === undefined) return [];
  const findings: SrFinding[] = [];
  const counted = new Map(host.counts.map((count) => [count.uuid, count]));
  for (const { uuid, problem, normal, binary } of host.counts) {
    const chain = byUuid.get(uuid);
    if (problem !== undefined) {
      findings.push({
        severity: 'warning',
        code: 'count-damaged',
        where: HERE,
        what: problem,
        means: 'The volume can be neither activated nor released here.',
        todo: 'Plug the PBD of this host anew when no disk of the SR is in use here: that resets all counts.',
      });
    } else if (chain === undefined || !chain.node.active) {
      const what = chain === undefined ? `VDI ${uuid}, of which there is no volume,` : subject(chain);
      findings.push({
        severity: 'warning',
        code: 'counted-inactive',
        where: HERE,
        ...(chain?.name === undefined ? {} : { name: chain.name }),
        what: `${what} is counted as in use (${normal} ${binary}), and is not active`,
        means: 'A call died half-way, or the volume was deactivated by hand. A VM that has the disk gets I/O errors.',
        todo: 'Stop and start the VM that has it; where none has, plug the PBD of this host anew when no disk is in use here.',
      });
    }
  }
  for (const chain of chains) {
    if (!chain.node.active || chain.node.old || counted.has(chain.node.uuid)) continue;
    findings.push({
      severity: 'warning',
      code: 'active-uncounted',
      ...about(chain),
      what: `${subject(chain)} is active here, and nothing counts it as in use`,
      means:
        'A call died half-way. Where the disk is shrunk, grown or merged elsewhere, this host goes on with the old table.',
      todo: 'The next use of the disk here mends it: xe vbd-plug and vbd-unplug of it, or plugging the PBD of this host anew.',
    });
  }
  if (host.mappings.length > 1) {
    findings.push({
      severity: 'warning',
      code: 'mapped-twice',
      where: HERE,
      what: `the image is mapped ${host.mappings.length} times: ${host.mappings.map(({ device }) => device).join(', ')}`,
      means: 'The SR uses one of them. Commands that have to find it by the image refuse to guess.',
      todo: 'rbdsr mappings explains each; rbdsr unmap takes away what no SR uses.',
    });
  }
  return findings;
}
