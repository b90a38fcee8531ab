import { messageOf } from '../../base/error.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { MetadataVolume } from '../../lvhd/metadata/metadata-volume.ts';
import type { MetadataRecord } from '../../lvhd/metadata/record.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { renderFields, renderTable } from '../table.ts';

/** `rbdsr mgt show`: what can be read of a metadata volume. 1 when some of it cannot. */
export async function showMetadata(call: CliCall, path: string, json: boolean): Promise<number> {
  const io = await openBlockIo(path, 'read');
  try {
    const { sr, vdis, problems } = await new MetadataVolume(io).read({ tolerant: true });
    if (json) {
      const content = { sr, vdis, problems: problems.map(messageOf) };
      call.print(jsonText(content));
    } else {
      call.print(renderFields(Object.entries(sr).map(([name, value]) => [spaced(name), printable(String(value))])));
      call.print(vdis.length === 0 ? '\nno disks\n' : `\n${renderTable(HEAD, vdis.map(row))}`);
      for (const problem of problems) call.print(`\nnot readable: ${messageOf(problem)}\n`);
    }
    return problems.length === 0 ? 0 : 1;
  } finally {
    await io.close();
  }
}

const HEAD = ['uuid', 'name', 'type', 'format', 'snapshot of', 'snapshot time', 'flags', 'offset', 'description'];

function row(vdi: MetadataRecord): string[] {
  const flags = [vdi.isASnapshot ? 'snapshot' : '', vdi.readOnly ? 'read-only' : '', vdi.managed ? '' : 'unmanaged'];
  return [
    vdi.uuid,
    shortened(vdi.nameLabel),
    vdi.type,
    vdi.vdiType,
    vdi.snapshotOf,
    vdi.snapshotTime,
    flags.filter((flag) => flag !== '').join(','),
    String(vdi.offset),
    shortened(vdi.nameDescription),
  ];
}

/** A name may be 400 characters long; --json has all of it. */
function shortened(text: string): string {
  const characters = Array.from(printable(text));
  return characters.length <= 48 ? characters.join('') : `${characters.slice(0, 47).join('')}…`;
}

/** nameLabel -> "name label" */
function spaced(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
