// `npm test [-- PART...]`: set-up, the checks, then the tests, cheapest first; parts are check, unit, host, histories
// and lab, all unless named. Whatever fails, the rest still runs. What failed is named once more at the end, since the
// parts print a great deal in between, and so is a part that took more than its share. The last line of standard output
// is `N passed, N failed, N skipped`; each check counts as one.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { runChecks } from './check.mjs';
import { project, setUp } from './setup.mjs';
import { bareNodeMs } from '../lab/machine/machine-speed.mjs';
import { sharesTable } from './test-shares.mjs';

const PARTS = ['check', 'unit', 'host', 'histories', 'lab'];
/** Of vitest, where a part is more than one. */
const PROJECTS = { host: ['host', 'sweep'], lab: ['lab', 'xen'] };
const GRACE_MS = 20_000;

const started = Date.now();
const total = { passed: 0, skipped: 0 };
const failures = [];
const timed = [];
const nodeMs = bareNodeMs();
const reports = mkdtempSync(join(tmpdir(), 'rbdsr-test-reports-'));
let running;
const interrupts = [];
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));
process.once('exit', () => rmSync(reports, { recursive: true, force: true }));

const named = process.argv.slice(2);
const unknown = named.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) {
  process.stderr.write(`no part ${unknown.join(', ')}; there are ${PARTS.join(', ')}\n`);
  process.exit(2);
}
try {
  setUp({ only: ['packages', 'modules'] });
  build();
  for (const part of PARTS.filter((name) => named.length === 0 || named.includes(name))) {
    if (interrupts.length > 0) break;
    process.stdout.write(`\n=== ${part}\n`);
    const began = performance.now();
    const counted = part === 'check' ? await runChecks() : await runProject(part);
    timed.push({ name: part, seconds: (performance.now() - began) / 1000, tests: counted.tests ?? [] });
    for (const key of Object.keys(total)) total[key] += counted[key] ?? 0;
    failures.push(...counted.failures.map((text) => `${part}: ${text}`));
  }
} catch (error) {
  failures.push(error.message);
}
if (interrupts.length > 0) process.stdout.write(`ended by ${interrupts.join(', ')}\n`);
if (failures.length > 0) process.stdout.write(`\n=== failed\n${failures.join('\n')}\n`);
process.stdout.write(`\n=== time\n${sharesTable(timed, nodeMs).join('\n')}\n`);
process.stdout.write(`\nelapsed: ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
process.stdout.write(`${total.passed} passed, ${failures.length} failed, ${total.skipped} skipped\n`);
process.exitCode = interrupts.length === 0 ? Number(failures.length > 0) : 128 + constants.signals[interrupts[0]];

/** Most tests need no build, so that they run even if it fails. */
function build() {
  try {
    setUp({ only: ['build'] });
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    failures.push(`build: ${error.message}`);
  }
}

/** What vitest counted of one part. A run that ends badly though no test failed counts as one failure. */
async function runProject(name) {
  if (!hasTests(join(project, 'test', name))) {
    process.stdout.write('no tests\n');
    return { failures: [] };
  }
  const report = join(reports, `${name}.json`);
  const atOnce = `--reporter=${join(project, 'scripts/failures-at-once.mjs')}`;
  const reporters = ['--reporter=default', atOnce, '--reporter=json', `--outputFile.json=${report}`];
  const projects = (PROJECTS[name] ?? [name]).flatMap((one) => ['--project', one]);
  const vitest = [join(project, 'node_modules/.bin/vitest'), 'run', ...projects, ...reporters];
  const guard = ['scripts/run-ts.mjs', 'lab/run-guard.ts'];
  const code = await execute(process.execPath, [...guard, ...vitest]);
  const counted = existsSync(report) ? count(JSON.parse(readFileSync(report, 'utf8'))) : { failures: [] };
  if (code === 0 || counted.failures.length > 0) return counted;
  return { ...counted, failures: [`vitest ended with exit code ${code} though no test failed`] };
}

function hasTests(folder) {
  return existsSync(folder) && readdirSync(folder, { recursive: true }).some((path) => path.endsWith('.test.ts'));
}

/** A file that could not be loaded has failed without a failed test. */
function count(report) {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
  );
  const failures = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'failed')
      .map((test) => describeFailure(name, test.fullName, test.failureMessages)),
  );
  return {
    passed: report.numPassedTests,
    skipped: report.numPendingTests + report.numTodoTests,
    tests: report.testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((test) => ({
        name: `${relative(project, name)}: ${test.fullName}`,
        seconds: (test.duration ?? 0) / 1000,
      })),
    ),
    failures: [...failures, ...broken.map(({ name, message }) => describeFailure(name, 'the file itself', [message]))],
  };
}

/** The file, the test, and what went wrong without the stack. */
function describeFailure(file, test, messages) {
  const reason = messages.join('\n').split('\n    at ')[0].trim().replaceAll('\n', '\n    ');
  return `${relative(project, file)}: ${test}\n    ${reason}`;
}

/** The exit code of a program that has a process group of its own, so that a signal ends everything it started. */
function execute(program, args) {
  return new Promise((resolve) => {
    // Every part makes its own lab: one that is kept up is for one scenario.
    const env = { ...process.env, RBDSR_TEST_STARTED: String(started), RBDSR_LAB: undefined };
    running = spawn(program, args, { cwd: project, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    running.on('error', () => resolve(127));
    running.on('close', (code) => {
      running = undefined;
      resolve(code ?? 1);
    });
  });
}

function interrupt(signal) {
  if (interrupts.length === 0) setTimeout(() => killGroup('SIGKILL'), GRACE_MS).unref();
  interrupts.push(signal);
  killGroup('SIGTERM');
}

function killGroup(signal) {
  try {
    if (running?.pid !== undefined) process.kill(-running.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
