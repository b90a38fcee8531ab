import { bringOverSteps } from '../installer/state/former-state.ts';
import { keepSteps } from '../access/change-kept.ts';
import { finishSteps } from '../access/change/finish-switch.ts';
import { removeOldSteps } from '../access/change/former-users.ts';
import { givenToPbdsSteps } from '../access/change/given-to-pbds.ts';
import { givenToSrSteps } from '../access/change/given-to-sr.ts';
import { retargetSteps } from '../access/change/new-monitors.ts';
import { newUserSteps } from '../access/change/rekey-own-user.ts';
import { switchSteps } from '../access/change/switch-user.ts';
import { keepAccessSteps } from '../access/kept-access.ts';
import { keepKeySteps } from '../access/kept-key.ts';
import { fieldsSteps } from '../access/pbd-fields.ts';
import { loginsSteps, loginSteps } from '../access/pbd-logins.ts';
import type { Protocol } from '../base/steps.ts';
import { growImageSteps } from '../ceph/control/native/grow-image.ts';
import { makeImageSteps } from '../ceph/control/native/make-image.ts';
import { fenceSteps } from '../fencing/carry-out.ts';
import { unfenceSteps } from '../fencing/unfence-host.ts';
import { growSteps } from '../growing/grow-sr.ts';
import { removalOfNodeSteps } from '../gc/delete-node.ts';
import { foldEndSteps, foldSteps, holdLeafSteps } from '../gc/fold-leaf.ts';
import { mergeSteps } from '../gc/merge-inner.ts';
import { linkSteps, relinkEndSteps, relinkSteps } from '../gc/relink.ts';
import { mapSteps } from '../ceph/krbd/map-image.ts';
import { unmapSteps } from '../ceph/krbd/unmap-image.ts';
import { journalSteps } from '../lvhd/journal/journals.ts';
import { additionSteps, creationSteps, removalSteps } from '../lvhd/metadata/metadata-writes.ts';
import { nbdEndSteps, nbdStartSteps } from '../datapath/nbd/nbd-process.ts';
import { tapdiskStartSteps } from '../datapath/tapdisk/tapdisk-data-path.ts';
import { tapdiskEndSteps } from '../datapath/tapdisk/tapdisk-end.ts';
import { putSteps } from '../installer/changing/put.ts';
import { revertSteps } from '../installer/changing/revert-all.ts';
import { besideSteps } from '../installer/changing/stage.ts';
import { takeBackSteps } from '../installer/changing/take-back.ts';
import { undoSteps, withdrawSteps } from '../installer/changing/undo.ts';
import { enableSteps, repairSteps } from '../installer/making.ts';
import { rollBackSteps } from '../installer/roll-back.ts';
import { activationSteps, deactivationSteps } from '../lvhd/chain-activation.ts';
import { replacementSteps } from '../lvhd/chain-replacement.ts';
import { endTrackingSteps } from '../lvhd/ops/end-tracking.ts';
import { finishCloneSteps, undoCloneSteps } from '../lvhd/ops/recover-clone.ts';
import { finishLeafSteps, takeOverSteps, undoLeafSteps } from '../lvhd/ops/recover-leaf.ts';
import { inflateSteps, undoInflateSteps } from '../lvhd/ops/inflate.ts';
import { volumeSteps } from '../lvhd/ops/vdi-create.ts';
import { resizeSteps } from '../lvhd/ops/vdi-resize.ts';
import { srCreationSteps } from '../sm/handlers/sr-create.ts';
import { srDeletionSteps } from '../sm/handlers/sr-delete.ts';
import { activeSteps } from '../sm/handlers/vdi-activate.ts';
import { recordSteps } from '../sm/handlers/vdi-create.ts';
import { deletionSteps } from '../sm/handlers/vdi-delete.ts';
import { detachSteps, releaseSteps } from '../sr/disk/let-go.ts';
import {
  baseRecordSteps,
  baseSteps,
  copySteps,
  leafSteps,
  noteSteps,
  pauseSteps,
  resumeSteps,
} from '../sr/disk/take-snapshot.ts';
import { targetSteps } from '../sr/disk/vdi-target.ts';
import { claimSteps } from '../sr/hosts/host-keys.ts';
import { metadataSteps } from '../sr/metadata-sync.ts';

/**
 * Every protocol that is a list of steps. `npm run check` compares each with its table in docs/recovery.md, and a test
 * kills the command after every step (test/support/every-step.ts). In no bundle.
 */
export const protocols: readonly Protocol[] = [
  { title: 'making an image', steps: makeImageSteps },
  { title: 'growing an image', steps: growImageSteps },
  { title: 'mapping an image', steps: mapSteps },
  { title: 'unmapping an image', steps: unmapSteps },
  { title: 'sr_create', steps: srCreationSteps },
  { title: 'sr_delete', steps: srDeletionSteps },
  { title: 'a journal with its value inside', steps: journalSteps },
  { title: 'metadata: create', steps: creationSteps },
  { title: 'metadata: add', steps: additionSteps },
  { title: 'metadata: delete', steps: removalSteps },
  { title: 'vdi_create', steps: [...volumeSteps.vhd, ...recordSteps] },
  { title: 'vdi_create of a raw disk', steps: [...volumeSteps.aio, ...recordSteps] },
  { title: 'vdi_delete', steps: deletionSteps },
  { title: 'growing the LV of a VHD', steps: inflateSteps },
  { title: 'undoing that', steps: undoInflateSteps },
  { title: 'ending the tracking of changed blocks', steps: endTrackingSteps },
  { title: 'vdi_resize', steps: resizeSteps.vhd },
  { title: 'vdi_resize of a raw disk', steps: resizeSteps.aio },
  {
    title: 'vdi_snapshot',
    steps: [
      ...noteSteps,
      ...baseSteps,
      ...volumeSteps.vhd,
      ...leafSteps,
      ...baseRecordSteps,
      ...volumeSteps.vhd,
      ...copySteps,
    ],
  },
  {
    title: 'vdi_snapshot of a disk in use, after its journal',
    steps: [...pauseSteps, ...baseSteps, ...volumeSteps.vhd, ...leafSteps, ...resumeSteps],
  },
  { title: 'finishing a snapshot', steps: finishCloneSteps },
  { title: 'undoing a snapshot', steps: undoCloneSteps },
  { title: 'a paused disk goes on, on one host', steps: replacementSteps },
  { title: 'an SR of the wizard keeps how it is got at', steps: keepAccessSteps },
  { title: 'an SR of type rbd keeps its key', steps: keepKeySteps },
  { title: 'the metadata volume at sr_attach', steps: metadataSteps },
  { title: 'merging an inner node', steps: mergeSteps },
  { title: 'relinking its children', steps: [...relinkSteps, ...relinkEndSteps] },
  { title: 'relinking a child', steps: linkSteps },
  { title: 'removing garbage', steps: removalOfNodeSteps },
  { title: 'merging a leaf', steps: [...holdLeafSteps, ...foldSteps, ...takeOverSteps, ...foldEndSteps] },
  { title: 'undoing the merging of a leaf', steps: undoLeafSteps },
  { title: 'finishing the merging of a leaf', steps: finishLeafSteps },
  { title: 'vdi_activate', steps: [...claimSteps, ...targetSteps, ...activeSteps] },
  { title: 'vdi_deactivate', steps: [...detachSteps, ...releaseSteps] },
  { title: 'activating a chain', steps: [...activationSteps.ancestor, ...activationSteps.leaf] },
  { title: 'deactivating a chain', steps: [...deactivationSteps.leaf, ...deactivationSteps.ancestor] },
  { title: 'starting a tapdisk', steps: tapdiskStartSteps },
  { title: 'ending a tapdisk', steps: tapdiskEndSteps },
  { title: 'starting an NBD server', steps: nbdStartSteps },
  { title: 'ending an NBD server', steps: nbdEndSteps },
  {
    title: '`rbdsr rekey` on a diverted SR, keys of SR.sm_config',
    steps: [...newUserSteps, ...switchSteps, ...finishSteps],
  },
  { title: '`rbdsr rekey --key-stdin` on a diverted SR', steps: givenToSrSteps },
  { title: '`rbdsr rekey --remove-old`', steps: removeOldSteps },
  { title: '`rbdsr remonitor`, with `rbd_monitors`, or `rbd_host_key` for a host key', steps: keepSteps },
  { title: '`rbdsr remonitor --target`', steps: retargetSteps },
  { title: '`rbdsr rekey --key-stdin` of SR type rbd', steps: givenToPbdsSteps },
  { title: 'a login in the PBDs of an SR', steps: loginsSteps },
  { title: 'a login in one PBD', steps: loginSteps },
  { title: 'monitors or `target` in one PBD', steps: fieldsSteps },
  { title: '`rbdsr fence`, one client', steps: fenceSteps },
  { title: '`rbdsr unfence`, one client', steps: unfenceSteps },
  { title: '`rbdsr grow`', steps: growSteps },
  { title: 'the record of 0.1.0 is brought over', steps: bringOverSteps },
  { title: '`rbdsr enable`', steps: enableSteps },
  { title: '`rbdsr repair`, where something is amiss', steps: repairSteps },
  { title: 'a path is put as its change wants it', steps: putSteps },
  { title: 'a file is replaced from another file system', steps: besideSteps },
  { title: 'a path that its change does not want any more', steps: withdrawSteps },
  { title: '`rbdsr enable` that fails', steps: rollBackSteps },
  { title: 'a path is taken back', steps: takeBackSteps },
  { title: '`rbdsr disable`', steps: revertSteps },
  { title: 'a path is put back', steps: undoSteps },
];
