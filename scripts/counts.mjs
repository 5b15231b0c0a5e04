// How many tests passed and failed, and which failed and why, read from what each runner says.
import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

/**
 * @typedef {{ test: string, why: string }} Failed
 * @typedef {{ passed: number, failed: number, failures: Failed[] }} Counts
 */

/** How many lines of an error are kept. */
const WHY_LINES = 24;

/** libtest's lines, one for each test binary; the browser runner of wasm-bindgen prints the same. */
export function libtestCounts(output) {
  const results = [...output.matchAll(/^test result: \S+ (\d+) passed; (\d+) failed;/gm)];
  // In their order, as tests of two binaries may have one name.
  const printed = /^---- (.+?)(?: stdout| output)? ----\n([\s\S]*?)(?=^---- |^failures:|^test result:)/gm;
  const texts = [...output.matchAll(printed)].map(([, test, text]) => ({ test, text }));
  const textOf = (test) => {
    const at = texts.findIndex((one) => one.test === test);
    return at < 0 ? '' : texts.splice(at, 1)[0].text;
  };
  const failed = [...output.matchAll(/^test (.+?)(?: - should panic)? \.\.\. FAIL(?:ED)?$/gm)];
  return {
    ...sum(results.map(([, passed, failed]) => ({ passed: Number(passed), failed: Number(failed) }))),
    failures: failed.map(([, test]) => failure(test, textOf(test))),
  };
}

/** The closing summary of `node --test`, in any of its reporters. */
export function nodeTestCounts(output) {
  const count = (word) => Number(new RegExp(`^\\S* ?${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  const details = /^✖ failing tests:\n([\s\S]*)/m.exec(output)?.[1] ?? '';
  const failed = [...details.matchAll(/^✖ (.+?)(?: \([\d.]+ms\))?\n([\s\S]*?)(?=^test at |$(?![\s\S]))/gm)];
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    failures: failed.map(([, test, why]) => failure(test, why)),
  };
}

/** The file of vitest's `json` reporter. */
export function vitestCounts(file) {
  const report = readReport(file);
  // A file that could not be loaded has no tests to fail.
  const suites = report?.testResults ?? [];
  const broken = suites.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0);
  return {
    passed: report?.numPassedTests ?? 0,
    failed: (report?.numFailedTests ?? 0) + broken.length,
    failures: [
      ...broken.map(({ name, message }) => failure(name, message)),
      ...suites.flatMap(({ assertionResults }) =>
        assertionResults
          .filter(({ status }) => status === 'failed')
          .map(({ fullName, failureMessages }) => failure(fullName, failureMessages?.join('\n'))),
      ),
    ],
  };
}

/** The file of Playwright's `json` reporter. What passed only when tried again has failed: a test that wavers is a defect. */
export function playwrightCounts(file) {
  const report = readReport(file);
  return {
    passed: report?.stats?.expected ?? 0,
    failed: (report?.stats?.unexpected ?? 0) + (report?.stats?.flaky ?? 0) + (report?.errors?.length ?? 0),
    failures: [
      ...(report?.errors ?? []).map(({ message }) => failure('outside of the tests', message)),
      ...(report?.suites ?? []).flatMap(playwrightFailures),
    ],
  };
}

/** Of a file, and of the groups within it. */
function playwrightFailures({ specs = [], suites = [] }) {
  const own = specs.flatMap(({ file, line, title, tests }) =>
    tests
      .filter(({ status }) => status === 'unexpected' || status === 'flaky')
      .map(({ projectName, results }) => {
        const errors = results.flatMap(({ errors = [] }) => errors.map(({ message }) => message));
        return failure(`[${projectName}] ${file}:${line} ${title}`, errors.join('\n'));
      }),
  );
  return [...own, ...suites.flatMap(playwrightFailures)];
}

export function sum(list) {
  return {
    passed: list.reduce((all, { passed }) => all + passed, 0),
    failed: list.reduce((all, { failed }) => all + failed, 0),
    failures: list.flatMap(({ failures = [] }) => failures),
  };
}

function failure(test, why = '') {
  const lines = stripVTControlCharacters(why)
    .split('\n')
    .filter((line) => line.trim());
  const left = lines.length - WHY_LINES;
  return { test, why: [...lines.slice(0, WHY_LINES), ...(left > 0 ? [`… and ${left} more lines`] : [])].join('\n') };
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
