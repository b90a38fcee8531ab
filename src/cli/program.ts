import { Command, CommanderError, Option } from 'commander';
import { messageOf, RbdsrError } from '../base/error.ts';
import type { CliCall, CliSurroundings } from './cli-call.ts';
import type { LookOptions } from './picture/look.ts';
import type { ReportOptions } from './picture/report.ts';
import type { HostCheckOptions } from './install/host-check.ts';
import type { DoctorOptions } from './install/doctor.ts';
import type { FenceOptions } from './sr/fence.ts';
import type { GcOptions } from './sr/gc.ts';
import type { GrowOptions } from './sr/grow.ts';
import type { RebuildOptions } from './sr/mgt-rebuild.ts';
import type { RekeyOptions } from './sr/rekey.ts';
import type { RemonitorOptions } from './sr/remonitor.ts';
import type { UnfenceOptions } from './sr/unfence.ts';

/**
 * The operator's command; returns its exit code: 0 all is well, 1 it failed or found something wrong, 2 it was called
 * wrongly. Each command's code is loaded when it runs.
 */
export async function runCli(argv: readonly string[], surroundings: CliSurroundings): Promise<number> {
  let code = 0;
  const run = async (action: (call: CliCall) => Promise<number>): Promise<void> => {
    code = await action({ ...surroundings, print: (text) => surroundings.stdout.write(text) });
  };
  try {
    await programOf(surroundings, run).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    surroundings.stderr.write(`rbdsr: ${describe(error)}\n`);
    return 1;
  }
}

type Run = (action: (call: CliCall) => Promise<number>) => Promise<void>;

function programOf(surroundings: CliSurroundings, run: Run): Command {
  const program = new Command('rbdsr')
    .description('Looks at and mends what the Ceph RBD storage driver keeps on disks and on this host.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
    })
    .version(surroundings.versionLine, '-V, --version');
  addVhd(program.command('vhd').description('A virtual disk: a .vhd file, or a block device that holds one'), run);
  addMgt(program.command('mgt').description("An SR's metadata volume: a copy in a file, or the LV named MGT"), run);
  addPicture(program, run);
  addHost(program, run);
  addAccess(program, run);
  addFencing(program, run);
  program
    .command('mappings')
    .description('Lists the RBD images mapped on this host, and explains those that no plugged SR uses')
    .option('--json', 'as JSON')
    .action((options: { json?: true }) =>
      run(async (call) => (await import('./sr/mappings.ts')).showMappings(call, options.json === true)),
    );
  program
    .command('gc <sr-uuid>')
    .description('Removes what no disk of an SR needs any more, and merges what need not be two volumes')
    .option('--dry-run', 'only say what would be done, and why')
    .option('--json', 'as JSON')
    .addOption(new Option('--by-itself', 'as a command of xapi starts it: says in SMlog what it does').hideHelp())
    .addOption(new Option('--hold', 'holds the lock by which stock collectors know of ours').hideHelp())
    .action((uuid: string, options: GcOptions & { byItself?: true; hold?: true }) =>
      run(async (call) => {
        if (options.hold === true) return (await import('./sr/gc-holder.ts')).holdStockLock(call, uuid);
        if (options.byItself === true) return (await import('./sr/gc-by-itself.ts')).collectByItself(call, uuid);
        return (await import('./sr/gc.ts')).collectGarbage(call, uuid, options);
      }),
    );
  program
    .command('unmap <device>')
    .description('Takes away a mapping that no plugged SR uses')
    .action((device: string) => run(async (call) => (await import('./sr/unmap.ts')).unmapDevice(call, device)));
  program
    .command('version')
    .description('Prints the version')
    .action(() =>
      run(async (call) => {
        call.print(`${call.versionLine}\n`);
        return 0;
      }),
    );
  return program;
}

function addPicture(program: Command, run: Run): void {
  withPlace(program.command('tree [sr-uuid]'))
    .option('--ceph', CEPH)
    .description("Draws an SR's chains: names, sizes, what is in use where; changes nothing, and needs no xapi")
    .option('--json', 'as JSON')
    .action((uuid: string | undefined, options: LookOptions) =>
      run(async (call) => (await import('./picture/tree.ts')).showTree(call, uuid, options)),
    );
  withPlace(program.command('fsck [sr-uuid]'))
    .description('Says what is wrong with an SR, what it means and what is safe to do; changes nothing, needs no xapi')
    .option('--json', 'as JSON')
    .action((uuid: string | undefined, options: LookOptions) =>
      run(async (call) => (await import('./picture/fsck.ts')).checkSr(call, uuid, options)),
    );
  withPlace(program.command('report [sr-uuid]'))
    .option('--ceph', CEPH)
    .description('Writes what tree and fsck tell, room, keys and mappings as one page that needs nothing beside it')
    .option('--html <file>', 'where to; an earlier page is replaced, and nothing else')
    .option('--json', 'as JSON')
    .action((uuid: string | undefined, options: ReportOptions) =>
      run(async (call) => (await import('./picture/report.ts')).reportSr(call, uuid, options)),
    );
  program
    .command('read-disks <what> <milliseconds>', { hidden: true })
    .action((what: string, milliseconds: string) =>
      run(async (call) => (await import('./picture/look.ts')).printDisks(call, what, milliseconds)),
    );
}

const CEPH = 'also what the cluster holds of each volume; may take minutes';

function withPlace(command: Command): Command {
  return command
    .option('--device <path>', 'a device or a file that holds the SR, instead of the attached one; on any Linux')
    .option('--deadline <seconds>', 'how long the cluster and xapi may take to answer; 60 unless given');
}

function addHost(program: Command, run: Run): void {
  const runAsRoot: Run = (action) =>
    run(async (call) => (await import('./install/on-this-host.ts')).onThisHost(call, action));
  program
    .command('enable')
    .description('Makes the changes to this host that the driver needs: all of them or none')
    .action(() => runAsRoot(async (call) => (await import('./install/enable.ts')).enableHost(call)));
  program
    .command('disable')
    .description('Puts this host back to what it was before')
    .option('--force', 'even while SRs that need the driver are plugged')
    .action((options: { force?: true }) =>
      runAsRoot(async (call) => (await import('./install/disable.ts')).disableHost(call, options.force === true)),
    );
  program
    .command('check')
    .description('Says of every part whether it is well, and how to mend it; exit code 0 only when all is well')
    .option('--json', 'as JSON')
    .option('--pool', 'also which hosts of the pool have RBDSR, and in which version')
    .action((options: HostCheckOptions) =>
      runAsRoot(async (call) => (await import('./install/host-check.ts')).checkInstallation(call, options)),
    );
  program
    .command('repair')
    .description('Puts back what a host update replaced; the host runs this by itself')
    .action(() => runAsRoot(async (call) => (await import('./install/enable.ts')).repairHost(call)));
  withSsh(program.command('doctor').description('Lists what forgotten SRs have left behind on this host'))
    .option('--json', 'as JSON')
    .action((options: DoctorOptions) =>
      runAsRoot(async (call) => (await import('./install/doctor.ts')).showLeavings(call, options)),
    );
  program
    .command('release-images', { hidden: true })
    .description('Unmaps all images; for the unit that runs at shutdown, and of no effect otherwise')
    .action(() => runAsRoot(async (call) => (await import('./install/release-images.ts')).releaseAllImages(call)));
  program
    .command('release-image <index> <milliseconds>', { hidden: true })
    .action((index: string, milliseconds: string) =>
      runAsRoot(async (call) =>
        (await import('./install/release-images.ts')).releaseOneImage(call, index, milliseconds),
      ),
    );
}

function addAccess(program: Command, run: Run): void {
  withSsh(program.command('rekey <sr-uuid>'))
    .description('Gives an SR another cephx user or key, or another SSH password, while it is in use')
    .option('--key-stdin', 'use the key on the standard input, instead of making a user over SSH')
    .option('--user <name>', 'the cephx user whose key that is; the one of now when left out')
    .option('--chap-password-stdin', 'only note the new password of the user who logs in over SSH')
    .option('--remove-old', 'remove the users that the SR used before from the cluster, once no host needs them')
    .action((uuid: string, options: RekeyOptions) =>
      run(async (call) => (await import('./sr/rekey.ts')).rekey(call, uuid, options)),
    );
  withSsh(program.command('remonitor <sr-uuid> [addresses]'))
    .description("Gives an SR its cluster's monitors, as given or as a monitor tells over SSH")
    .option('--target', 'also for SSH: the target in the device-config of its PBDs')
    .option('--forget-host-key', 'replace the SSH host key that the SR keeps: shows both fingerprints first')
    .action((uuid: string, addresses: string | undefined, options: RemonitorOptions) =>
      run(async (call) => (await import('./sr/remonitor.ts')).remonitor(call, uuid, addresses, options)),
    );
}

function addFencing(program: Command, run: Run): void {
  const changing = (command: Command): Command =>
    command.option('--dry-run', 'only say what would be done').option('--json', 'as JSON').option(DEADLINE, ALL_OF_IT);
  changing(program.command('fence <host>'))
    .description("Keeps a host's clients from the images of the pool's SRs, and proves that no late write lands")
    .option('--address', 'everything that comes from its addresses, and says whom else that hits')
    .option('--although-in-use', 'although the pool says that it is alive and uses disks: its guests lose them')
    .option('--including-this-host', 'although this host loses its images by it')
    .action((host: string, options: FenceOptions) =>
      run(async (call) => (await import('./sr/fence.ts')).fence(call, host, options)),
    );
  changing(program.command('unfence <host>'))
    .description('Lets a host at the cluster again that was fenced, or one ADDRESS:PORT/NONCE')
    .action((host: string, options: UnfenceOptions) =>
      run(async (call) => (await import('./sr/unfence.ts')).unfence(call, host, options)),
    );
  program
    .command('fences')
    .description("Lists whom the clusters of the pool's SRs have fenced, until when, and by whom")
    .option('--json', 'as JSON')
    .option(DEADLINE, ALL_OF_IT)
    .action((options: { json?: true; deadline?: string }) =>
      run(async (call) => (await import('./sr/fences.ts')).showFences(call, options)),
    );
  changing(program.command('grow <sr-uuid>'))
    .description("Makes an SR's image larger, and lets every host and the volume group use it")
    .requiredOption('--size <size>', 'of the whole image then, for instance 2TiB')
    .action((sr: string, options: GrowOptions) =>
      run(async (call) => (await import('./sr/grow.ts')).grow(call, sr, options)),
    );
}

const DEADLINE = '--deadline <seconds>';
const ALL_OF_IT = 'how long all of it may take; 60 unless given';

/**
 * Passwords are typed, or come on the standard input: never as an argument, which every process of the host can read.
 */
function withSsh(command: Command): Command {
  return command
    .option('--monitor <host>', 'a monitor to ask over SSH')
    .option('--ssh-user <user>', 'who logs in there; may run ceph by sudo')
    .option('--password-stdin', "that user's password is on the standard input")
    .option('--host-key <fingerprint>', 'SHA256:..., the SSH host key to accept, when it has been compared');
}

interface VhdOptions {
  readonly json?: true;
  readonly parent?: readonly string[];
}

interface CheckOptions {
  readonly json?: true;
  readonly inUse?: true;
}

const PARENT = 'where the parent is, instead of where its names say; again for the parent of that';

/** Commander collects an option that is given more than once through this. */
function listed(path: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), path];
}

function addVhd(vhd: Command, run: Run): void {
  vhd
    .command('info <file>')
    .description('Shows footer, header, parents and allocation')
    .option('--json', 'as JSON')
    .option('--parent <path>', PARENT, listed)
    .action((file: string, options: VhdOptions) =>
      run(async (call) => (await import('./disk/vhd-info.ts')).showVhd(call, file, options)),
    );
  vhd
    .command('check <file>')
    .description('Says what is wrong, in plain words; exit code 0 only when the disk is sound')
    .option('--json', 'as JSON')
    .option('--in-use', 'the footer at the end may be missing, as it is while a tapdisk has the disk open')
    .action((file: string, options: CheckOptions) =>
      run(async (call) => (await import('./disk/vhd-check.ts')).showCheck(call, file, options)),
    );
  vhd
    .command('cat <file>')
    .description('Writes what the disk shows, through its chain of parents, to stdout')
    .option('--parent <path>', PARENT, listed)
    .action((file: string, options: VhdOptions) =>
      run(async (call) => (await import('./disk/vhd-cat.ts')).catVhd(call, file, options)),
    );
}

function addMgt(mgt: Command, run: Run): void {
  mgt
    .command('show <file>')
    .description('Shows the SR and its disks as a table')
    .option('--json', 'as JSON')
    .action((file: string, options: { json?: true }) =>
      run(async (call) => (await import('./sr/mgt-show.ts')).showMetadata(call, file, options.json === true)),
    );
  mgt
    .command('rebuild <sr-uuid>')
    .description("Writes a damaged one anew, from xapi's records, what is left of it and the logical volumes")
    .option('--dry-run', 'show what would be written beside what can be read, and write nothing')
    .option(
      '--device <file>',
      'a copy in a file, or an LV that nothing uses, instead of the attached SR: xapi is not asked',
    )
    .action((uuid: string, options: RebuildOptions) =>
      run(async (call) => (await import('./sr/mgt-rebuild.ts')).rebuildMetadata(call, uuid, options)),
    );
}

/** Ours speak for themselves; anything else is a defect, whose stack helps whoever mends it. */
function describe(error: unknown): string {
  if (error instanceof RbdsrError) return `${error.message} (${error.code})`;
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}
