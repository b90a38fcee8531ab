import { SaxesParser, type SaxesTagPlain } from 'saxes';

// What XenCenter makes of the driver's XML, by the rules of its sources (xenadmin `XenModel/Actions/SR/`): what throws
// there throws here.

interface Node {
  readonly name: string;
  readonly children: Node[];
  text: string;
}

/** An XML 1.0 document, strictly. */
function parse(xml: string): Node {
  const parser = new SaxesParser();
  const open: Node[] = [];
  let root: Node | undefined;
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', (tag: SaxesTagPlain) => {
    const node = { name: tag.name, children: [], text: '' };
    open.at(-1)?.children.push(node);
    open.push(node);
  });
  parser.on('text', (text) => {
    const node = open.at(-1);
    if (node !== undefined) node.text += text;
  });
  parser.on('cdata', (text) => {
    const node = open.at(-1);
    if (node !== undefined) node.text += text;
  });
  parser.on('closetag', () => {
    root = open.pop();
  });
  parser.write(xml).close();
  if (root === undefined) throw new Error('no root element');
  return root;
}

/** .NET's String.Trim: white space as JavaScript has it, without U+FEFF, with U+0085. */
function dotNetTrim(text: string): string {
  return text.replace(/^(?:(?!\uFEFF)[\s\u0085])+/u, '').replace(/(?:(?!\uFEFF)[\s\u0085])+$/u, '');
}

/** Int32.Parse and its kin: white space, a sign, digits; out of range throws. */
function parseInteger(text: string, min: bigint, max: bigint): bigint {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new Error(`FormatException: ${text}`);
  const value = BigInt(text.trim());
  if (value < min || value > max) throw new Error(`OverflowException: ${text}`);
  return value;
}

const INT32 = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const INT64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;

function fieldsOf(node: Node): ReadonlyMap<string, string> {
  return new Map(node.children.map((child) => [child.name.toLowerCase(), dotNetTrim(child.text)]));
}

export interface XenCenterTarget {
  readonly index: number;
  readonly address: string;
  readonly port: number;
  readonly iqn: string;
}

/** Every child of the root that is called so; without `Port` the next step is for 3260. */
export function xenCenterTargets(xml: string): readonly XenCenterTarget[] {
  const root = parse(xml);
  if (root.name.toLowerCase() !== 'iscsi-target-iqns') return [];
  return root.children.map((child) => {
    const fields = fieldsOf(child);
    const port = fields.get('port');
    return {
      index: Number(parseInteger(fields.get('index') ?? '', ...INT32)),
      address: fields.get('ipaddress') ?? '',
      port: port === undefined ? 3260 : Number(parseInteger(port, 0n, 65_535n)),
      iqn: fields.get('targetiqn') ?? '',
    };
  });
}

export interface XenCenterLun {
  readonly lunId: number;
  readonly vendor: string;
  readonly serial: string;
  readonly size: bigint;
  readonly scsiId: string;
}

export function xenCenterLuns(xml: string): readonly XenCenterLun[] {
  const root = parse(xml);
  if (root.name.toLowerCase() !== 'iscsi-target') return [];
  return root.children.map((child) => {
    const fields = fieldsOf(child);
    const lunId = fields.get('lunid');
    const size = fields.get('size');
    return {
      lunId: lunId === undefined ? -1 : Number(parseInteger(lunId, ...INT32)),
      vendor: fields.get('vendor') ?? '',
      serial: fields.get('serial') ?? '',
      size: size === undefined || !/^\d+$/.test(size) || BigInt(size) > INT64[1] ? -1n : BigInt(size),
      scsiId: fields.get('scsiid') ?? '',
    };
  });
}
