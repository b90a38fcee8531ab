import { formatBytes } from '../../base/units.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { openWholeImage } from './whole-image.ts';
import { renderFields } from '../table.ts';
import { factsOf, type VhdFacts } from './vhd-facts.ts';

/**
 * `rbdsr vhd info`: footer, header and allocation of a disk, what is wrong with it, and the chain below it as a tree.
 * Throws what keeps a parent from being shown, when the rest was.
 */
export async function showVhd(
  call: CliCall,
  path: string,
  o: { readonly json?: true; readonly parent?: readonly string[] },
): Promise<number> {
  const disk = await openWholeImage(path, o.parent);
  try {
    const facts = await factsOf(disk);
    call.print(o.json === true ? jsonText(facts) : textOf(facts));
    if (disk.broken !== undefined) throw disk.broken;
    return 0;
  } finally {
    await disk.close();
  }
}

function textOf(facts: VhdFacts): string {
  const { footer } = facts;
  const { cylinders, heads, sectors } = footer.geometry;
  const fields: [string, string][] = [
    ['uuid', footer.uuid],
    ['type', footer.type + (footer.hidden ? ', hidden' : '')],
    ['virtual size', size(footer.virtualBytes)],
    ['size at creation', typeof footer.originalBytes === 'number' ? size(footer.originalBytes) : footer.originalBytes],
    ['geometry', `${cylinders} cylinders, ${heads} heads, ${sectors} sectors`],
    ['created', `${footer.created} by "${footer.creator}" ${footer.creatorVersion}`],
    ['footer read at', PLACES[footer.foundAt] ?? footer.foundAt],
    ...blockFields(facts),
    ...facts.errors.map(({ message }): [string, string] => ['error', message]),
  ];
  const shown = fields.map(([name, value]) => [name, printable(value)] as const);
  return `${renderFields(shown)}\n${treeOf(facts)}`;
}

/** Of a disk that has blocks. */
function blockFields({ header, allocation, fileBytes }: VhdFacts): [string, string][] {
  if (header === undefined || allocation === undefined) return [];
  const fields: [string, string][] = [
    ['BAT', `${header.batEntries} entries at byte ${header.batOffset}`],
    ['can grow to', size(header.largestVirtualBytes)],
    ['allocated', `${allocation.allocatedBlocks} of ${allocation.blocks} blocks of ${formatBytes(header.blockBytes)}`],
    ['data ends at', `${allocation.physicalBytes}, of ${fileBytes} bytes`],
  ];
  if (header.locators !== undefined) {
    fields.push(
      ['parent uuid', header.parentUuid ?? 'none: the parent is raw'],
      ['parent name', header.parentName ?? ''],
    );
    for (const { slot, code, path } of header.locators) fields.push([`locator ${slot}`, `${code} ${path}`]);
  }
  return fields;
}

const PLACES: Readonly<Record<string, string>> = {
  end: 'the end',
  'legacy-end': 'the end, 511 bytes long',
  copy: 'byte 0, for there is no valid one of this disk at the end',
};

/** The disk, and each parent below the child that names it. */
function treeOf(facts: VhdFacts): string {
  const parents = facts.parents.map((parent, level) => {
    const blocks = parent.allocatedBlocks === undefined ? '' : `, ${parent.allocatedBlocks} blocks`;
    const hidden = parent.hidden === true ? ', hidden' : '';
    const what = `${parent.type}, ${formatBytes(parent.virtualBytes)}${blocks}${hidden}`;
    return `${'   '.repeat(level)}└─ ${printable(parent.file)}  ${what}\n`;
  });
  const missing =
    facts.nextParent === undefined ? [] : [`${'   '.repeat(parents.length)}└─ ? ${printable(facts.nextParent)}\n`];
  return [`${printable(facts.file)}\n`, ...parents, ...missing].join('');
}

function size(bytes: number): string {
  return `${bytes} (${formatBytes(bytes)})`;
}
