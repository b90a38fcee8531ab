import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { dmName, lvPath } from '../../../src/lvm/dm-name.ts';

/**
 * How a host names its active volumes: with udev (CentOS 7 and later) device-mapper's own name is a link to a node that
 * has none, without it that name is the node.
 */
export type MapperStyle = 'links' | 'nodes';

/** Makes the names of one volume below `root`; answers the path at which its content has to be. */
export function nameVolume(root: string, style: MapperStyle, vg: string, lv: string, number: number): string {
  const mapper = `${root}/dev/mapper/${dmName(vg, lv)}`;
  const named = root + lvPath(vg, lv);
  for (const path of [mapper, named]) mkdirSync(dirname(path), { recursive: true });
  const node = style === 'links' ? `${root}/dev/dm-${number}` : mapper;
  if (style === 'links') symlinkSync(`../dm-${number}`, mapper);
  symlinkSync(style === 'links' ? `../dm-${number}` : mapper, named);
  return node;
}
