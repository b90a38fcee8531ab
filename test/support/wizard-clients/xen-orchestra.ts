import { XMLParser } from 'fast-xml-parser';
import { XMLParser as NewestParser } from 'fast-xml-parser-newest';

// What Xen Orchestra makes of the driver's XML: its own parser, with its options, and the rules of its source
// (xen-orchestra `packages/xo-server/src/api/sr.mjs`). What throws there throws here.

/** The version that Xen Orchestra pins, and the newest. */
export const XEN_ORCHESTRA_PARSERS = { pinned: XMLParser, newest: NewestParser } as const;

type Parser = (typeof XEN_ORCHESTRA_PARSERS)[keyof typeof XEN_ORCHESTRA_PARSERS];

const OPTIONS = {
  attributeNamePrefix: '',
  ignoreAttributes: false,
  ignoreDeclaration: true,
  parseTagValue: false,
  parseAttributeValue: false,
};

type Node = Readonly<Record<string, string>>;
type Root = Readonly<Record<string, Readonly<Record<string, Node | readonly Node[] | undefined>>>>;

/** An error becomes an empty text, in silence. */
function parse(xml: string, parser: Parser): Root {
  try {
    return new parser(OPTIONS).parse(xml) as Root;
  } catch {
    return '' as unknown as Root;
  }
}

/** One or many: the parser makes no list of one. */
function many(root: Root, list: string, name: string): readonly Node[] {
  const parent = root[list];
  if (parent === undefined) throw new TypeError(`Cannot read properties of undefined (reading '${name}')`);
  const found = parent[name];
  if (found === undefined) return [];
  return Array.isArray(found) ? (found as readonly Node[]) : [found as Node];
}

function trimmed(text: string | undefined): string {
  if (text === undefined) throw new TypeError("Cannot read properties of undefined (reading 'trim')");
  return text.trim();
}

/** Exact case, and only targets whose address is what was typed. */
export function xenOrchestraTargets(
  xml: string,
  typed: string,
  parser: Parser = XMLParser,
): readonly { iqn: string; ip: string }[] {
  return many(parse(xml, parser), 'iscsi-target-iqns', 'TGT')
    .map((target) => ({ iqn: trimmed(target['TargetIQN']), ip: trimmed(target['IPAddress']) }))
    .filter(({ ip }) => ip === typed);
}

export interface XenOrchestraLun {
  readonly id: string;
  readonly vendor: string;
  readonly serial: string | undefined;
  readonly size: string | undefined;
  readonly scsiId: string;
}

export function xenOrchestraLuns(xml: string, parser: Parser = XMLParser): readonly XenOrchestraLun[] {
  return many(parse(xml, parser), 'iscsi-target', 'LUN').map((lun) => ({
    id: trimmed(lun['LUNid']),
    vendor: trimmed(lun['vendor']),
    serial: lun['serial']?.trim(),
    size: lun['size']?.trim(),
    scsiId: trimmed(lun['SCSIid']),
  }));
}

/** The uuids of the SRs that a probe found; an answer without SRlist throws. */
export function xenOrchestraSrs(xml: string, parser: Parser = XMLParser): readonly string[] {
  return many(parse(xml, parser), 'SRlist', 'SR').map((sr) => trimmed(sr['UUID']));
}
