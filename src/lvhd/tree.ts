import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { type DrivenVdi, isDriven, type VdiNode } from './lv-table.ts';

/** The nodes of an SR as trees: lookups that every operation needs. Pure; built once per report. */
export class VdiTree {
  /** Without those set aside by a leaf coalesce. */
  readonly nodes: readonly VdiNode[];
  readonly #byUuid: ReadonlyMap<string, VdiNode>;
  readonly #children: ReadonlyMap<string, readonly VdiNode[]>;

  constructor(nodes: readonly VdiNode[]) {
    this.nodes = nodes.filter((node) => !node.old);
    this.#byUuid = new Map(this.nodes.map((node) => [node.uuid, node]));
    const children = new Map<string, VdiNode[]>();
    for (const node of this.nodes) {
      if (node.parentUuid === undefined) continue;
      const siblings = children.get(node.parentUuid);
      if (siblings === undefined) children.set(node.parentUuid, [node]);
      else siblings.push(node);
    }
    this.#children = children;
  }

  find(uuid: VdiUuid): VdiNode | undefined {
    return this.#byUuid.get(uuid);
  }

  /**
   * 'vdi-missing' for one that is not there; its scan error, with its name, for one that cannot be read or is foreign
   * ('vdi-type').
   */
  get(uuid: VdiUuid): DrivenVdi {
    const node = this.#byUuid.get(uuid);
    if (node === undefined) throw new RbdsrError('vdi-missing', { what: `there is no VDI ${uuid} in this SR` });
    return readable(node);
  }

  children(uuid: VdiUuid): readonly VdiNode[] {
    return this.#children.get(uuid) ?? [];
  }

  /**
   * The VDI and its ancestors, leaf first. 'vhd-corrupt' where a parent is missing or the chain comes back to itself.
   */
  chain(uuid: VdiUuid): readonly DrivenVdi[] {
    const chain: DrivenVdi[] = [this.get(uuid)];
    for (let parent = chain[0]?.parentUuid; parent !== undefined; ) {
      const node = this.find(parent);
      if (node === undefined || chain.some((one) => one === node)) {
        throw new RbdsrError('vhd-corrupt', {
          what: `the chain of VDI ${uuid} is broken`,
          expected: `its ancestor ${parent}`,
          found: node === undefined ? 'no such logical volume' : 'a chain that comes back to itself',
          todo: 'Do not delete anything of this SR; ask for help with the output of "rbdsr vhd check".',
        });
      }
      chain.push(readable(node));
      parent = node.parentUuid;
    }
    return chain;
  }

  /**
   * As much of the chain as is known, leaf first: up to a volume whose header cannot be read, or whose parent is not
   * there.
   */
  knownChain(uuid: VdiUuid): readonly VdiNode[] {
    const chain: VdiNode[] = [];
    for (let node = this.find(uuid); node !== undefined && !chain.includes(node); ) {
      chain.push(node);
      node = node.parentUuid === undefined ? undefined : this.find(node.parentUuid);
    }
    return chain;
  }

  /** Nodes in the chain, the VDI itself included (`vhd-util query -d`). */
  depth(uuid: VdiUuid): number {
    return this.chain(uuid).length;
  }

  /** What a scan shows: all but foreign disks, and hidden nodes that nothing hangs on, which wait to be collected. */
  visible(): readonly DrivenVdi[] {
    return this.nodes.filter(isDriven).filter((node) => !node.hidden || this.children(node.uuid).length > 0);
  }

  /** Nodes whose header could not be read, but for those that are being deleted. */
  unreadable(): readonly VdiNode[] {
    return this.nodes.filter((node) => isDriven(node) && node.scanError !== undefined && !node.hidden);
  }

  /** Disks that only another driver drives. Which nodes they hang on is not known. */
  foreign(): readonly VdiNode[] {
    return this.nodes.filter((node) => !isDriven(node));
  }
}

function readable(node: VdiNode): DrivenVdi {
  const { uuid, lvName, scanError } = node;
  if (!isDriven(node))
    throw scanError ?? new RbdsrError('vdi-type', { what: `VDI ${uuid} cannot be driven`, found: lvName });
  if (scanError === undefined) return node;
  const { code, detail } = scanError;
  throw new RbdsrError(code, {
    todo: `Look at its logical volume with: rbdsr vhd check .../${lvName}`,
    ...detail,
    what: `VDI ${uuid} cannot be read: ${detail.what}`,
    cause: scanError,
  });
}
