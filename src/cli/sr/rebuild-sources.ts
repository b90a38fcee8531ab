import type { BlockIo } from '../../base/block-io.ts';
import type { RebuildInput } from '../../lvhd/metadata/rebuild.ts';

/** What can be learned of an SR, and its metadata volume while the work on it runs. */
export type RebuildSources = Pick<RebuildInput, 'nodes' | 'allNodes' | 'logs' | 'xapi'> & { readonly mgt: BlockIo };
