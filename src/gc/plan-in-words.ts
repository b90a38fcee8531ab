import { formatBytes } from '../base/units.ts';
import type { MergeRoom } from './room.ts';
import type { GcPlan, GcStep } from './step.ts';

/** A line for each step, and for each node that stays. */
export function planInWords({ steps, left }: GcPlan): string[] {
  return [
    ...steps.map((step) => `${doing(step)}: ${step.why}${behind(step)}`),
    ...left.map(({ node, why }) => `leave ${node.lvName}: ${why}`),
  ];
}

function behind(step: GcStep): string {
  if (!('usedOn' in step) || step.usedOn.length === 0) return '';
  return ` (in use: for a moment guests wait, on ${step.usedOn.join(', ')})`;
}

function doing(step: GcStep): string {
  const { lvName } = step.node;
  switch (step.kind) {
    case 'delete':
    case 'delete-aside':
      return `delete ${lvName}`;
    case 'relink':
      return `relink what hangs on ${lvName} to ${step.into.lvName}`;
    case 'leaf-base':
      return `make a base of what ${lvName} holds (${formatBytes(step.room.copiesBytes)}), to merge that into ${step.into.lvName}`;
    case 'leaf-coalesce':
      return `merge the leaf ${lvName} into ${step.into.lvName}${growing(step.room)}`;
    case 'coalesce':
      return `merge ${lvName} into ${step.into.lvName}${growing(step.room)}`;
    default:
      return step satisfies never;
  }
}

function growing({ growsByBytes }: MergeRoom): string {
  return growsByBytes === 0 ? '' : `, which grows by ${formatBytes(growsByBytes)}`;
}
