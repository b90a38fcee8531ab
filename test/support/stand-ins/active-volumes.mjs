// Stands in for what this machine's LVM lacks, a device-mapper: volumes that are active are loop devices over their
// extents, with the names, and the entries in /sys, that device-mapper would give them. What changes metadata the
// machine's own LVM does, and what it reports of each volume is whether it is active and open here. argv: the host's
// folder, `lvm` or `dmsetup`, then the program's own arguments.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

const DMSETUP = `${import.meta.dirname}/../../fixtures/dmsetup/1.02.185.json`;
const [folder, program, ...argv] = process.argv.slice(2);
const statePath = `${folder}/volumes.json`;
/** By the device-mapper name. */
const volumes = existsSync(statePath) ? JSON.parse(readFileSync(statePath, 'utf8')) : {};

if (program === 'dmsetup') dmsetup();
else if (argv[0] === 'lvchange' && words().some(isLocal)) lvchange();
else asItIs();

/** What `lvchange` does to this host's devices alone. */
function isLocal(word) {
  return /^(-ay|-an|--refresh)$/.test(word);
}

/** The arguments without the configuration. */
function words() {
  const at = argv.indexOf('--config');
  return argv.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
}

function lvm(args, options = {}) {
  const [command, ...rest] = args;
  return spawnSync(`${folder}/real/lvm`, [command, '--driverloaded', 'n', ...rest], { encoding: 'utf8', ...options });
}

function asItIs() {
  const { status, stdout, stderr } = argv[0] === 'lvcreate' ? inOnePiece() : lvm(argv);
  const path = words().at(-1);
  if (status === 0 && argv[0] === 'lvremove') drop(nameOf(path));
  process.stdout.write(argv[0] === 'pvs' ? withStates(stdout) : stdout);
  process.stderr.write(stderr);
  process.exitCode = status ?? 1;
}

/** A loop device takes one run of extents; that it was asked for is not kept, so that the volume can grow. */
function inOnePiece() {
  const [command, ...rest] = argv;
  const name = argv[argv.indexOf('-n') + 1];
  const config = argv[argv.indexOf('--config') + 1];
  const made = lvm([command, '--alloc', 'contiguous', ...rest, ...freePlace(config)]);
  if (made.status === 0) lvm(['lvchange', '--config', config, '--alloc', 'inherit', `${argv.at(-1)}/${name}`]);
  return made;
}

/** The first extents of as many as volumes are to lie apart, none of which is taken; nothing where all are. */
function freePlace(config) {
  if (!existsSync(`${folder}/apart`)) return [];
  const apart = Number(readFileSync(`${folder}/apart`, 'utf8'));
  const rows = segments(config, ['vg_name', 'pv_name', 'lv_name', 'pvseg_start', 'pvseg_size', 'vg_extent_size']);
  const ofGroup = rows.filter(([vg]) => vg === argv.at(-1));
  const [, pv] = ofGroup[0] ?? [];
  if (pv === undefined) return [];
  const each = apart / Number(ofGroup[0][5]);
  const end = Math.max(...ofGroup.map(([, , , start, size]) => Number(start) + Number(size)));
  const taken = ofGroup.filter(([, , lv]) => lv !== '').map((row) => [Number(row[3]), Number(row[3]) + Number(row[4])]);
  for (let first = 0; first + each <= end; first += each)
    if (!taken.some(([from, to]) => from < first + each && to > first)) return [`${pv}:${first}-${first + each - 1}`];
  return [];
}

/** Letters 5 and 6 of lv_attr: a for active, o for open. */
function withStates(report) {
  const fields = (argv[argv.indexOf('-o') + 1] ?? '').split(',');
  const [vgAt, lvAt, attrAt] = ['vg_name', 'lv_name', 'lv_attr'].map((field) => fields.indexOf(field));
  if (attrAt < 0) return report;
  const lines = report.split('\n').map((line) => {
    const values = line.split('|');
    const attr = values[attrAt];
    if (attr === undefined || attr === '') return line;
    const name = nameOf(`${values[vgAt].trim()}/${values[lvAt]}`);
    values[attrAt] =
      `${attr.slice(0, 4)}${volumes[name] === undefined ? '-' : 'a'}${isOpen(name) ? 'o' : '-'}${attr.slice(6)}`;
    return values.join('|');
  });
  return lines.join('\n');
}

function lvchange() {
  const [how, ...paths] = words().slice(words().findIndex(isLocal));
  for (const path of paths) change(how, path);
}

function change(how, path) {
  const name = nameOf(path);
  const active = volumes[name];
  if (how === '-an') {
    if (isOpen(name) || isHeld(name)) fail(5, `  Logical volume ${path} in use.`);
    drop(name);
  } else if (how === '-ay' ? active === undefined : active !== undefined) {
    const table = tableOf(path);
    if (active?.table === table.text) return;
    drop(name);
    make(name, path.split('/')[1], table);
  }
}

/** The values of these fields, a row for each run of extents of the physical volume. */
function segments(config, fields) {
  const format = ['--noheadings', '--nosuffix', '--units', 'b', '--separator', '|', '-o', fields.join(',')];
  return lvm(['pvs', '--config', config, ...format])
    .stdout.split('\n')
    .map((line) => line.trim().split('|'));
}

function tableOf(path) {
  const [vg, lv] = path.split('/');
  const fields = ['vg_name', 'lv_name', 'pv_name', 'pe_start', 'pvseg_start', 'vg_extent_size', 'seg_size'];
  const config = argv[argv.indexOf('--config') + 1];
  const rows = segments(config, fields).filter(([ofVg, ofLv]) => ofVg === vg && ofLv === lv);
  if (rows.length !== 1) fail(5, `  ${path} has ${rows.length} runs of extents; a loop device takes one`);
  const [, , pv, start, extent, extentSize, size] = rows[0];
  const offset = Number(start) + Number(extent) * Number(extentSize);
  const device = realpathSync(pv);
  const [, , minor] = /^(\/dev\/loop)([0-9]+)$/.exec(device);
  return { device, offset, size: Number(size), text: `0 ${size / 512} linear 7:${minor} ${offset / 512}` };
}

function make(name, lv, { device, offset, size, text }) {
  const range = ['--offset', String(offset), '--sizelimit', String(size)];
  const loop = execFileSync('losetup', ['--find', '--show', ...range, device], { encoding: 'utf8' }).trim();
  const minor = /[0-9]+$/.exec(loop)[0];
  execFileSync('mknod', [`${folder}/mapper/${name}`, 'b', '7', minor]);
  symlinkSync(`/dev/mapper/${name}`, `${folder}/links/${lv}`);
  for (const [path, content] of Object.entries({
    [`7:${minor}/dm/name`]: name,
    [`7:${minor}/size`]: size / 512,
    [`7:${minor}/queue/logical_block_size`]: 512,
    [`dm-${minor}/dm/name`]: name,
  })) {
    const at = `${folder}/sys/${path}`;
    mkdirSync(at.slice(0, at.lastIndexOf('/')), { recursive: true });
    writeFileSync(at, `${content}\n`);
  }
  volumes[name] = { lv, loop, minor, table: text };
  save();
}

function drop(name) {
  const active = volumes[name];
  if (active === undefined) return;
  for (const path of [`mapper/${name}`, `links/${active.lv}`, `sys/7:${active.minor}`, `sys/dm-${active.minor}`])
    rmSync(`${folder}/${path}`, { recursive: true, force: true });
  execFileSync('losetup', ['--detach', active.loop]);
  delete volumes[name];
  save();
}

/** By somebody who wants it alone, as our NBD server does. */
function isOpen(name) {
  if (volumes[name] === undefined) return false;
  try {
    closeSync(openSync(`${folder}/mapper/${name}`, constants.O_RDONLY | constants.O_EXCL));
    return false;
  } catch (error) {
    if (error.code !== 'EBUSY') throw error;
    return true;
  }
}

/** By any process of the machine, which may share it: a loop device would wait for its last one to close it. */
function isHeld(name) {
  if (volumes[name] === undefined) return false;
  const { rdev } = statSync(`${folder}/mapper/${name}`);
  return readdirSync('/proc')
    .filter((pid) => /^[0-9]+$/.test(pid))
    .some((pid) => devicesOf(`/proc/${pid}/fd`).includes(rdev));
}

/** None of a process that ends meanwhile, or that nobody may look at. */
function devicesOf(at) {
  try {
    return readdirSync(at).map((fd) => statSync(`${at}/${fd}`, { throwIfNoEntry: false })?.rdev);
  } catch {
    return [];
  }
}

/** As it was recorded to answer (test/fixtures/dmsetup), of the volume that is named. */
function dmsetup() {
  const name = argv.at(-1);
  const active = volumes[name];
  const state = active === undefined ? 'none' : isOpen(name) ? 'open' : 'free';
  const asked = [...argv.slice(0, -1), 'VG-x'].join(' ');
  const { calls } = JSON.parse(readFileSync(DMSETUP, 'utf8'));
  const found = calls.find((call) => call.state === state && call.argv === asked);
  if (found === undefined) fail(99, `nothing was recorded of it when ${state}: dmsetup ${asked}`);
  if (argv[0] === 'remove' && found.exit === 0) drop(name);
  process.stdout.write(argv[0] === 'table' && found.exit === 0 ? `${active.table}\n` : found.stdout);
  process.stderr.write(found.stderr);
  process.exitCode = found.exit;
}

function nameOf(path) {
  return path
    .split('/')
    .map((part) => part.replaceAll('-', '--'))
    .join('-');
}

function save() {
  // Whole for whoever looks meanwhile.
  writeFileSync(`${statePath}.new`, JSON.stringify(volumes));
  renameSync(`${statePath}.new`, statePath);
}

function fail(code, text) {
  process.stderr.write(`${text}\n`);
  process.exit(code);
}
