// What each part of `npm test` may take, and what is said of a part that takes more. The seconds hold where `node -e 0`
// takes REFERENCE_MS on an idle machine of two cores; on a slower one they are multiplied by its factor.
import { factorOf } from '../lab/machine/machine-speed.mjs';

const SLOWEST = 10;

/** Seconds. Together with set-up they stay below the 35 minutes that a whole run may take. */
export const SHARES = { check: 60, unit: 240, host: 680, histories: 40, lab: 1020 };

/**
 * The table of parts that ran, `{ name, seconds, tests: [{ name, seconds }] }` each, as lines. A part over its share is
 * named below it with its slowest tests.
 */
export function sharesTable(parts, nodeMs) {
  const factor = factorOf(nodeMs);
  const rows = parts.map(({ name, seconds, tests }) => {
    const share = SHARES[name] * factor;
    return { name, seconds, tests, share, over: seconds > share };
  });
  const head = `node -e 0: ${nodeMs.toFixed(0)} ms, so a factor of ${factor.toFixed(2)} on every share`;
  const lines = rows.map(
    ({ name, seconds, share, over, tests }) =>
      `${name.padEnd(9)} ${wide(seconds)} s of ${wide(share)} s   ${String(tests.length).padStart(5)} tests${over ? '   over its share' : ''}`,
  );
  return [head, ...lines, ...rows.filter(({ over }) => over).flatMap(slowestOf)];
}

function slowestOf({ name, tests }) {
  const slowest = tests.toSorted((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
  return [
    `the slowest of ${name}:`,
    ...slowest.map((test) => `  ${test.seconds.toFixed(1).padStart(6)} s  ${test.name}`),
  ];
}

function wide(seconds) {
  return seconds.toFixed(0).padStart(5);
}
