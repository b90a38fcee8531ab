import type { Protocol } from '../base/steps.ts';
import { endSteps as nbdEndSteps, startSteps as nbdStartSteps } from '../datapath/nbd/nbd-process.ts';
import { startSteps as tapdiskStartSteps } from '../datapath/tapdisk/tapdisk-data-path.ts';
import { endSteps as tapdiskEndSteps } from '../datapath/tapdisk/tapdisk-end.ts';
import { activationSteps, deactivationSteps } from '../lvhd/chain-activation.ts';
import { endTrackingSteps } from '../lvhd/ops/end-tracking.ts';
import { inflateSteps, undoInflateSteps } from '../lvhd/ops/inflate.ts';
import { volumeSteps } from '../lvhd/ops/vdi-create.ts';
import { resizeSteps } from '../lvhd/ops/vdi-resize.ts';
import { activeSteps } from '../sm/handlers/vdi-activate.ts';
import { recordSteps } from '../sm/handlers/vdi-create.ts';
import { deletionSteps } from '../sm/handlers/vdi-delete.ts';
import { detachSteps, releaseSteps } from '../sr/disk/let-go.ts';
import { targetSteps } from '../sr/disk/vdi-target.ts';
import { claimSteps } from '../sr/hosts/host-keys.ts';
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
  { title: 'vdi_activate', steps: [...claimSteps, ...targetSteps, ...activeSteps] },
  { title: 'vdi_deactivate', steps: [...detachSteps, ...releaseSteps] },
  { title: 'activating a chain', steps: [...activationSteps.ancestor, ...activationSteps.leaf] },
  { title: 'deactivating a chain', steps: [...deactivationSteps.leaf, ...deactivationSteps.ancestor] },
  { title: 'starting a tapdisk', steps: tapdiskStartSteps },
  { title: 'ending a tapdisk', steps: tapdiskEndSteps },
  { title: 'starting an NBD server', steps: nbdStartSteps },
  { title: 'ending an NBD server', steps: nbdEndSteps },
];
