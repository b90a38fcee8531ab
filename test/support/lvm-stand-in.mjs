// Stands in for one version of LVM: answers each call as that version was recorded to (test/fixtures/lvm), and fails
// for one that was not. What a recorded call changed on the device, this machine's own LVM changes; activating makes
// and removes the node. argv: the settings' file, then LVM's own arguments.
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';

const [settingsPath, ...argv] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(settingsPath, 'utf8'));
const at = argv.indexOf('--config');
const config = argv[at + 1] ?? '';
const own = ['--driverloaded', 'n'];
const words = argv.filter((word, index) => index !== at && index !== at + 1 && !own.includes(word));
const access = config.includes('metadata_read_only=1') ? 'slave' : 'master';
appendFileSync(settings.log, `${access} ${words.join(' ')}\n`);

const [device, disk] = Object.entries(settings.disks).find(([node]) => config.includes(`filter=["a|^${node}$|"`)) ?? [];
const statePath = `${settings.states}/${String(device).replaceAll('/', '_')}`;
const state = existsSync(statePath) ? readFileSync(statePath, 'utf8') : disk;
const asked = words.join(' ').replaceAll(device, '@DEVICE').replaceAll(settings.fields, '@FIELDS');
const { calls } = JSON.parse(readFileSync(settings.transcript, 'utf8'));
const answersAs = settings.refuses && !['pvs', 'lvs'].includes(words[0]) ? 'slave' : access;
// A refused change leaves the SR as it is, whatever it was that was refused.
const found =
  calls.find((call) => call.disk === state && call.access === answersAs && call.argv === asked) ??
  fail(`no such call was recorded on ${state} as ${answersAs}: ${asked}`);

if (found.changed && !settings.refuses) {
  // This machine's LVM need not know the newest options.
  const [command, ...rest] = words.filter((word, index) => word !== '--fs' && words[index - 1] !== '--fs');
  const { status, stderr } = spawnSync(settings.lvm, [command, ...own, '--config', config, ...rest], {
    encoding: 'utf8',
  });
  if (status !== 0) fail(`this machine's LVM could not: ${stderr}`);
}
if (found.exit === 0 && found.becomes !== undefined) writeFileSync(statePath, found.becomes);
if (found.exit === 0 && words[0] === 'lvchange' && words[1] === '-ay') activate(words[2]);
if (found.exit === 0 && words[0] === 'lvchange' && words[1] === '-an') deactivate();
const told = (text) => text.replaceAll('@DEVICE', device).replaceAll(/@SLAVE|@MASTER/g, config);
process.stdout.write(told(found.stdout));
process.stderr.write(told(found.stderr));
process.exitCode = found.exit;

/** As device-mapper and LVM show it: /sys, /dev/mapper, and the link in the group's folder. */
function activate(path) {
  const [vg, lv] = path.split('/');
  const name = `${vg.replaceAll('-', '--')}-${lv.replaceAll('-', '--')}`;
  for (const folder of ['dm-250/dm', '253:250/dm']) {
    mkdirSync(`${settings.sys}/${folder}`, { recursive: true });
    writeFileSync(`${settings.sys}/${folder}/name`, `${name}\n`);
  }
  if (!existsSync(`${settings.mapper}/${name}`)) spawnSync('mknod', [`${settings.mapper}/${name}`, 'b', '253', '250']);
  rmSync(`${settings.links}/${lv}`, { force: true });
  symlinkSync(`/dev/mapper/${name}`, `${settings.links}/${lv}`);
}

function deactivate() {
  for (const folder of ['dm-250', '253:250']) rmSync(`${settings.sys}/${folder}`, { recursive: true, force: true });
}

function fail(why) {
  process.stderr.write(`${why}\n`);
  appendFileSync(settings.log, `FAILED ${why}\n`);
  process.exit(99);
}
