/**
 * Tells of a test that fails when it fails, with all that its errors say. Vitest's own reporter tells at the end of an
 * hour, and not at all of a run that is interrupted. (https://vitest.dev/api/advanced/reporters)
 */
export default class FailuresAtOnce {
  onTestCaseResult(testCase) {
    const { state, errors } = testCase.result();
    if (state !== 'failed') return;
    tell(`${testCase.module.relativeModuleId}: ${testCase.fullName}`, errors ?? []);
  }

  /** What is done before and after the tests of a `describe`. */
  onTestSuiteResult(suite) {
    tell(`${suite.module.relativeModuleId}: ${suite.fullName}`, suite.errors());
  }

  /** What is done before and after all tests of a file, and the file itself. */
  onTestModuleEnd(module) {
    tell(module.relativeModuleId, module.errors());
  }
}

function tell(where, errors) {
  if (errors.length === 0) return;
  process.stdout.write(`\nfailed just now: ${where}\n${errors.map(textOf).join('\n')}\n`);
}

function textOf({ message, stack, diff, cause }) {
  const reason = cause === undefined ? [] : [`because of ${cause.message === undefined ? cause : textOf(cause)}`];
  return [stack ?? message, ...(diff === undefined ? [] : [diff]), ...reason].join('\n');
}
