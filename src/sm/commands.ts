import { RbdsrError } from '../base/error.ts';
import type { Handler } from './handler.ts';
import { checkXmlText, type SmRequest } from './protocol/request.ts';

/** One command of the SM protocol. */
export interface Command {
  /** Holds `/var/lock/sm/<sr>/sr` from before the handler starts until it is done. */
  readonly exclusive: boolean;
  /**
   * Changes something of the SR on this host without that lock: what an earlier command may still write there is waited
   * for all the same.
   */
  readonly changes: boolean;
  /** Refused on a host that is not the pool master: one writer of LVM metadata. */
  readonly masterOnly: boolean;
  /** Members a request must carry; what is absent is a 'bad-request'. */
  readonly needs: readonly Need[];
  /** Names of the entries of `args` that must be there. */
  readonly args: readonly string[];
  /** Seconds after which the launcher answers for a worker that has not. */
  readonly deadlineSeconds: number;
  /** The number of a failure that has no number of its own (a program, xapi), as SRCommand of sm has it. */
  readonly defaultNumber: number;
  /** Loads the code of this command and nothing else; absent: known, and answered 38 with `why`. */
  readonly load?: () => Promise<Handler>;
  /** Why it does not work, as a sentence. */
  readonly why?: string;
}

/** A member of SmRequest. `srRef` proves that xapi speaks: only then LVM metadata may be written. */
export type Need = 'session' | 'srRef' | 'srUuid' | 'vdiRef' | 'vdiUuid';

const SR: readonly Need[] = ['session', 'srRef', 'srUuid'];
const VDI: readonly Need[] = [...SR, 'vdiRef', 'vdiUuid'];
const CONFIG: readonly Need[] = ['srUuid', 'vdiUuid'];

const sr: Command = {
  exclusive: false,
  changes: false,
  masterOnly: false,
  needs: SR,
  args: [],
  deadlineSeconds: 90,
  defaultNumber: 202,
};
const vdi: Command = { ...sr, needs: VDI, deadlineSeconds: 60 };
const vdiData: Command = { ...vdi, defaultNumber: 46 };
/** tap-ctl waits for so long until the readers by NBD have left (sm `blktap2`, `close -t 120`), and then more. */
const RELEASE_SECONDS = 150;
const later: Command = { ...vdi, needs: [], deadlineSeconds: 30 };
const master = { exclusive: true, masterOnly: true } as const;

const snapshot = async (): Promise<Handler> => (await import('./handlers/vdi-snapshot.ts')).handler;
const CBT = 'This version of RBDSR does not track changed blocks; back up the whole VDI.';

/**
 * Every command of the SM protocol (xen-api `sm_exec.ml`, sm `SRCommand.py`): what it needs, what it holds, which
 * number its failures have and where its code is. Nothing is dispatched that is not here.
 */
const COMMANDS: Readonly<Record<string, Command>> = {
  sr_get_driver_info: {
    ...sr,
    needs: [],
    deadlineSeconds: 30,
    load: async () => (await import('./handlers/driver-info.ts')).handler,
  },
  sr_probe: { ...sr, needs: ['session'], load: async () => (await import('./handlers/sr-probe.ts')).handler },
  sr_create: {
    ...sr,
    ...master,
    args: ['physical_size'],
    deadlineSeconds: 120,
    load: async () => (await import('./handlers/sr-create.ts')).handler,
  },
  sr_delete: {
    ...sr,
    ...master,
    deadlineSeconds: 120,
    load: async () => (await import('./handlers/sr-delete.ts')).handler,
  },
  sr_attach: { ...sr, exclusive: true, load: async () => (await import('./handlers/sr-attach.ts')).handler },
  sr_detach: { ...sr, exclusive: true, load: async () => (await import('./handlers/sr-detach.ts')).handler },
  sr_scan: {
    ...sr,
    ...master,
    deadlineSeconds: 120,
    defaultNumber: 40,
    load: async () => (await import('./handlers/sr-scan.ts')).handler,
  },
  sr_update: { ...sr, exclusive: true, load: async () => (await import('./handlers/sr-update.ts')).handler },
  sr_content_type: { ...sr, why: 'RBDSR keeps no content type; xapi has it in the SR record.' },

  vdi_create: {
    ...sr,
    ...master,
    args: ['virtual_size', 'name_label', 'name_description'],
    defaultNumber: 78,
    load: async () => (await import('./handlers/vdi-create.ts')).handler,
  },
  vdi_delete: {
    ...vdi,
    ...master,
    deadlineSeconds: 90,
    defaultNumber: 80,
    load: async () => (await import('./handlers/vdi-delete.ts')).handler,
  },
  vdi_update: { ...vdi, load: async () => (await import('./handlers/vdi-update.ts')).handler },
  vdi_resize: {
    ...vdi,
    ...master,
    args: ['size'],
    deadlineSeconds: 90,
    defaultNumber: 110,
    load: async () => (await import('./handlers/vdi-resize.ts')).handler,
  },
  vdi_attach: { ...vdiData, args: ['writable'], load: async () => (await import('./handlers/vdi-attach.ts')).handler },
  vdi_detach: { ...vdiData, load: async () => (await import('./handlers/vdi-detach.ts')).handler },
  vdi_activate: {
    ...vdiData,
    changes: true,
    args: ['writable'],
    load: async () => (await import('./handlers/vdi-activate.ts')).handler,
  },
  vdi_deactivate: {
    ...vdiData,
    deadlineSeconds: RELEASE_SECONDS,
    changes: true,
    load: async () => (await import('./handlers/vdi-deactivate.ts')).handler,
  },
  vdi_epoch_begin: { ...vdi, load: async () => (await import('./handlers/vdi-epoch-begin.ts')).handler },
  vdi_epoch_end: { ...vdi, load: async () => (await import('./handlers/vdi-epoch-end.ts')).handler },
  vdi_generate_config: { ...vdi, load: async () => (await import('./handlers/vdi-generate-config.ts')).handler },

  // Sent by static-vdis at boot, with xapi down: no session and no references.
  vdi_attach_from_config: {
    ...vdiData,
    changes: true,
    needs: CONFIG,
    load: async () => (await import('./handlers/vdi-attach-from-config.ts')).handler,
  },
  vdi_detach_from_config: {
    ...vdiData,
    deadlineSeconds: RELEASE_SECONDS,
    changes: true,
    needs: CONFIG,
    load: async () => (await import('./handlers/vdi-detach-from-config.ts')).handler,
  },

  vdi_snapshot: { ...vdi, ...master, deadlineSeconds: 120, defaultNumber: 82, load: snapshot },
  vdi_clone: { ...vdi, ...master, deadlineSeconds: 120, defaultNumber: 81, load: snapshot },
  vdi_compose: { ...later, why: 'This version of RBDSR does not give a disk another parent.' },
  vdi_revert: { ...later, why: 'A disk is reverted to a snapshot by cloning that and deleting the disk.' },
  vdi_introduce: {
    ...later,
    why: 'RBDSR records the disks of an SR in sr_scan; scan the SR instead of introducing a VDI.',
  },
  vdi_resize_online: {
    ...later,
    defaultNumber: 110,
    why: 'A disk of this SR is resized while no running VM has it; shut the VM down or unplug the disk first.',
  },
  vdi_enable_cbt: { ...later, why: CBT },
  vdi_disable_cbt: { ...later, why: CBT },
  vdi_data_destroy: { ...later, why: CBT },
  vdi_list_changed_blocks: { ...later, why: CBT },
};

/** The command of that name; an inherited property such as `constructor` is none. */
export function findCommand(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
}

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** Whether `request` carries what `command` needs, and this host may run it. Throws 'bad-request' or 'not-master'. */
export function checkRequest(request: SmRequest, command: Command): void {
  for (const need of command.needs) {
    if (request[need] === undefined) throw incomplete(request, `the member ${MEMBER_NAMES[need]} is missing`);
  }
  for (const [index, name] of command.args.entries()) {
    if (request.args[index] === undefined) throw incomplete(request, `args[${index}], ${name}, is missing`);
  }
  if (request.command === 'vdi_create') {
    checkXmlText('name_label', request.args[1] ?? '');
    checkXmlText('name_description', request.args[2] ?? '');
  }
  if (command.masterOnly && !request.srMaster) {
    throw new RbdsrError('not-master', {
      what: `${request.command} was sent to a host that is not the pool master`,
      expected: 'device_config SRmaster "true"',
    });
  }
}

const MEMBER_NAMES: Readonly<Record<Need, string>> = {
  session: 'session_ref',
  srRef: 'sr_ref',
  srUuid: 'sr_uuid',
  vdiRef: 'vdi_ref',
  vdiUuid: 'vdi_uuid',
};

function incomplete(request: SmRequest, what: string): RbdsrError {
  return new RbdsrError('bad-request', { what: `the ${request.command} request is incomplete: ${what}` });
}
