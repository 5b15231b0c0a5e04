// How many tests passed and failed, read from what each runner says.
import { readFileSync } from 'node:fs';

/** @typedef {{ passed: number, failed: number }} Counts */

/** libtest's lines, one for each test binary; the browser runner of wasm-bindgen prints the same. */
export function libtestCounts(output) {
  return sum(
    [...output.matchAll(/^test result: \S+ (\d+) passed; (\d+) failed;/gm)].map(([, passed, failed]) => ({
      passed: Number(passed),
      failed: Number(failed),
    })),
  );
}

/** The closing summary of `node --test`, in any of its reporters. */
export function nodeTestCounts(output) {
  const count = (word) => Number(new RegExp(`^\\S* ?${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail') + count('cancelled') };
}

/** The file of vitest's `json` reporter. */
export function vitestCounts(file) {
  const report = readReport(file);
  // A file that could not be loaded has no tests to fail.
  const broken = report?.testResults?.filter(
    (suite) => suite.status === 'failed' && suite.assertionResults.length === 0,
  );
  return { passed: report?.numPassedTests ?? 0, failed: (report?.numFailedTests ?? 0) + (broken?.length ?? 0) };
}

/** The file of Playwright's `json` reporter. What passed only when tried again has failed: a test that wavers is a defect. */
export function playwrightCounts(file) {
  const report = readReport(file);
  return {
    passed: report?.stats?.expected ?? 0,
    failed: (report?.stats?.unexpected ?? 0) + (report?.stats?.flaky ?? 0) + (report?.errors?.length ?? 0),
  };
}

export function sum(list) {
  return list.reduce((all, one) => ({ passed: all.passed + one.passed, failed: all.failed + one.failed }), {
    passed: 0,
    failed: 0,
  });
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
