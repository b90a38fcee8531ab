import type { Protocol } from '../base/steps.ts';
import { endTrackingSteps } from '../lvhd/ops/end-tracking.ts';
import { inflateSteps, undoInflateSteps } from '../lvhd/ops/inflate.ts';
import { volumeSteps } from '../lvhd/ops/vdi-create.ts';
import { resizeSteps } from '../lvhd/ops/vdi-resize.ts';
import { recordSteps } from '../sm/handlers/vdi-create.ts';
import { deletionSteps } from '../sm/handlers/vdi-delete.ts';
import { metadataSteps } from '../sr/metadata-sync.ts';

/**
 * Every protocol that is a list of steps. `npm run check` compares each with its table in docs/recovery.md, and
 * test/host/sm/every-step.test.ts kills the driver after every step. In no bundle.
 */
export const protocols: readonly Protocol[] = [
  { title: 'vdi_create', steps: [...volumeSteps.vhd, ...recordSteps] },
  { title: 'vdi_create of a raw disk', steps: [...volumeSteps.aio, ...recordSteps] },
  { title: 'vdi_delete', steps: deletionSteps },
  { title: 'growing the LV of a VHD', steps: inflateSteps },
  { title: 'undoing that', steps: undoInflateSteps },
  { title: 'ending the tracking of changed blocks', steps: endTrackingSteps },
  { title: 'vdi_resize', steps: resizeSteps.vhd },
  { title: 'vdi_resize of a raw disk', steps: resizeSteps.aio },
  { title: 'the metadata volume at sr_attach', steps: metadataSteps },
];
