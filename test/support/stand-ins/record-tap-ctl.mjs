// Records what the tap-ctl and tapdisk of this machine answer to each of our calls, in each state that a call may meet.
// Each row begins afresh. Needs blktap 4, which has no kernel module, a mount namespace with an empty
// /run/blktap-control (some rows mount over it and over tapdisk) and strace. argv: the version. Prints the transcript.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CONTROL = '/run/blktap-control';
const TAPDISK = '/usr/libexec/tapdisk';
/** Of tap-ctl's own waiting; one that takes longer has to be killed. */
const PATIENCE_MS = 14_000;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-tap-'));
const IMAGES = Object.fromEntries(
  ['VHD', 'RAW', 'TEXT', 'MISSING', 'ORPHAN'].map((name) => [name, join(folder, name.toLowerCase())]),
);
const p = '-p @PID -m @MINOR';

/** State, how it is reached from another, and the calls that are made in it: `argv > state afterwards`. */
const STATES = [
  { state: 'nothing', calls: ['list', 'list -m @MINOR', 'allocate > minor', 'spawn > process', 'free -m @MINOR'] },
  { state: 'minor', from: 'nothing', by: allocate, calls: ['list', 'list -m @MINOR', 'free -m @MINOR > nothing'] },
  { state: 'process', from: 'nothing', by: spawn, calls: ['list', 'list -m @MINOR', `attach ${p}`] },
  {
    state: 'minor, process',
    from: 'minor',
    by: spawn,
    calls: ['list', 'list -m @MINOR', `attach ${p} > attached`, `open ${p} -a vhd:@VHD`, `close ${p}`, `detach ${p}`],
  },
  {
    state: 'attached',
    from: 'minor, process',
    by: () => tapCtl(`attach ${p}`),
    calls: ['list', 'list -m @MINOR', ...opens(), ...ends('closed', 'minor'), `attach ${p}`, 'free -m @MINOR'],
  },
  {
    state: 'open',
    from: 'attached',
    by: () => tapCtl(`open ${p} -a vhd:@VHD`),
    calls: [
      'list',
      'list -m @MINOR',
      `open ${p} -a vhd:@VHD`,
      ...ends('closed'),
      `attach ${p}`,
      'free -m @MINOR',
      ...pauses('paused'),
    ],
  },
  {
    state: 'paused',
    from: 'open',
    by: () => tapCtl(`pause ${p}`),
    calls: ['list', 'list -m @MINOR', ...pauses(undefined, 'open'), `detach ${p}`, 'free -m @MINOR'],
  },
  {
    state: 'closed',
    from: 'open',
    by: () => tapCtl(`close ${p}`),
    calls: ['list', 'list -m @MINOR', ...opens(), ...ends('closed', 'minor'), 'free -m @MINOR'],
  },
  {
    state: 'killed',
    from: 'open',
    by: kill,
    calls: [
      'list',
      'list -m @MINOR',
      `attach ${p}`,
      `open ${p} -a vhd:@VHD`,
      ...ends(),
      ...pauses(),
      'free -m @MINOR > nothing',
    ],
  },
  { state: 'stopped', from: 'open', by: stop, calls: ['list', 'list -m @MINOR', `close ${p} -t @SECONDS`] },
  // It says who it is, and then, when asked for its images, nothing for longer than tap-ctl waits.
  { state: 'silent', from: 'open', calls: ['list', 'list -m @MINOR'], through: stopBetween },
  { state: 'no such process', from: 'minor', by: noProcess, calls: [`attach ${p}`, `close ${p}`, `detach ${p}`] },
  { state: 'no room', from: 'nothing', by: noRoom, calls: ['allocate'] },
  { state: 'tapdisk fails', from: 'nothing', by: () => inPlaceOfTapdisk('/bin/false'), calls: ['spawn'] },
  { state: 'tapdisk cannot be run', from: 'nothing', by: () => inPlaceOfTapdisk('/dev/null'), calls: ['spawn'] },
];

let ids = { '@PID': '', '@MINOR': '0', '@SECONDS': '1' };
const mounted = [];
const started = new Set();

makeImages();
const rows = STATES.flatMap(({ state, calls, through }) => calls.map((call) => record(state, call, through)));
cleanUp();
rmSync(folder, { recursive: true });
const lists = new Map(rows.filter(({ argv }) => argv === 'list').map(({ state, stdout }) => [state, stdout]));
for (const { state, argv, becomes, after } of rows)
  if (after !== undefined && lists.has(becomes ?? state) && lists.get(becomes ?? state) !== after)
    throw new Error(`${argv} on ${state} leads to ${JSON.stringify(after)}, which is not "${becomes ?? state}"`);
const lines = rows.map(({ after: _after, ...row }) => `    ${JSON.stringify(row)}`);
const how = 'blktap as tagged, built and run by record-tap-ctl.mjs; tapdisk may lock no memory there';
process.stdout.write(
  `{\n  "version": ${JSON.stringify(process.argv[2])},\n  "how": ${JSON.stringify(how)},\n  "calls": [\n${lines.join(',\n')}\n  ]\n}\n`,
);

function opens() {
  const images = ['vhd:@VHD > open', 'vhd:@VHD -R > open', 'aio:@RAW > open', 'aio:@RAW -R > open'];
  const refused = ['vhd:@MISSING', 'vhd:@TEXT', 'vhd:@ORPHAN', 'aio:@MISSING', 'nosuch:@RAW'];
  return [...images, ...refused.flatMap((image) => [image, `${image} -R`])].map((image) => `open ${p} -a ${image}`);
}

function pauses(paused, resumed) {
  const to = (state) => (state === undefined ? '' : ` > ${state}`);
  return [`pause ${p}${to(paused)}`, `unpause ${p} -a vhd:@VHD${to(resumed)}`];
}

function ends(closed, detached) {
  const to = (state) => (state === undefined ? '' : ` > ${state}`);
  return [`close ${p}${to(closed)}`, `close ${p} -t @SECONDS${to(closed)}`, `detach ${p}${to(detached)}`];
}

function record(state, call, through) {
  cleanUp();
  reach(state);
  const [argv, becomes] = call.split(' > ');
  const prefix = through === undefined ? [] : through();
  const { status, stdout, stderr } = tapCtl(argv, prefix, true);
  const after = listAfter(state);
  return {
    state,
    argv,
    exit: status ?? -1,
    ...(becomes === undefined ? {} : { becomes }),
    stdout: named(stdout),
    stderr: named(stderr),
    after,
  };
}

/** Where a tapdisk that does not answer would not let it end, nothing is asked. */
function listAfter(state) {
  if (state === 'stopped' || state === 'silent' || state === 'tapdisk fails') return undefined;
  return named(tapCtl('list', [], true).stdout);
}

function reach(name) {
  const { from, by } = STATES.find(({ state }) => state === name);
  if (from !== undefined) reach(from);
  by?.();
}

function tapCtl(argv, prefix = [], mayFail = false) {
  const words = argv.split(' ').map(real);
  const all = [...prefix, 'tap-ctl', ...words];
  const ended = spawnSync(all[0], all.slice(1), { encoding: 'utf8', timeout: PATIENCE_MS, killSignal: 'SIGKILL' });
  if (argv === 'spawn' && ended.status === 0) {
    ids = { ...ids, '@PID': ended.stdout.trim() };
    started.add(Number(ended.stdout));
  }
  if (argv === 'allocate' && ended.status === 0) ids = { ...ids, '@MINOR': /([0-9]+)\n$/.exec(ended.stdout)[1] };
  if (ended.status !== 0 && !mayFail) throw new Error(`tap-ctl ${words.join(' ')}: ${ended.stderr}`);
  return ended;
}

function real(word) {
  return word.replace(/@[A-Z]+/, (name) => ids[name] ?? IMAGES[name.slice(1)]);
}

function named(text) {
  let clean = text.replaceAll(`tapdisk-${ids['@MINOR']}\n`, 'tapdisk-@MINOR\n');
  for (const [name, path] of Object.entries(IMAGES)) clean = clean.replaceAll(path, `@${name}`);
  if (ids['@PID'] !== '') clean = clean.replaceAll(new RegExp(`\\b${ids['@PID']}\\b`, 'g'), '@PID');
  return clean.replaceAll(/\bminor=0\b/g, 'minor=@MINOR').replaceAll(/ args=.*/g, ' args=@IMAGE');
}

function allocate() {
  tapCtl('allocate');
}

function spawn() {
  tapCtl('spawn');
}

function kill() {
  end(Number(ids['@PID']));
}

/** Its image and its sockets are free only once it has ended. */
function end(pid) {
  process.kill(pid, 'SIGKILL');
  started.delete(pid);
  const stat = `/proc/${pid}/stat`;
  while (existsSync(stat) && !readFileSync(stat, 'utf8').includes(') Z')) execFileSync('sleep', ['0.05']);
}

function stop() {
  process.kill(Number(ids['@PID']), 'SIGSTOP');
}

function stopBetween() {
  const stopped = `( (sleep 0.8; kill -STOP ${ids['@PID']}) & ); `;
  const inject = 'strace -qq -o /dev/null -e trace=connect -e inject=connect:delay_enter=1500000:when=2 "$@"';
  return ['sh', '-c', `${stopped}exec ${inject}`, 'sh'];
}

function noProcess() {
  ids = { ...ids, '@PID': '4194300' };
}

function noRoom() {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=2', 'record', CONTROL]);
  mounted.push(CONTROL);
}

function inPlaceOfTapdisk(program) {
  execFileSync('mount', ['--bind', program, TAPDISK]);
  mounted.push(TAPDISK);
}

function cleanUp() {
  for (const pid of started) end(pid);
  while (mounted.length > 0) execFileSync('umount', [mounted.pop()]);
  for (const name of existsSync(CONTROL) ? readdirSync(CONTROL) : [])
    rmSync(join(CONTROL, name), { recursive: true, force: true });
  ids = { '@PID': '', '@MINOR': '0', '@SECONDS': '1' };
}

function makeImages() {
  const make = (...args) => execFileSync('vhd-util', args, { cwd: folder });
  make('create', '-n', IMAGES.VHD, '-s', '8');
  make('create', '-n', join(folder, 'gone'), '-s', '8');
  make('snapshot', '-n', IMAGES.ORPHAN, '-p', join(folder, 'gone'));
  rmSync(join(folder, 'gone'));
  writeFileSync(IMAGES.RAW, Buffer.alloc(1 << 20));
  writeFileSync(IMAGES.TEXT, Buffer.alloc(1 << 20, 'no VHD\n'));
}
