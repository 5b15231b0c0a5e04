// Counts are read from what the runners say; each case here is what one of them said.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { libtestCounts, nodeTestCounts, playwrightCounts, sum, vitestCounts } from './counts.mjs';

const NOTHING = { passed: 0, failed: 0, failures: [] };

function withReport(content, check) {
  const folder = mkdtempSync(join(tmpdir(), 'gossipstore-'));
  try {
    const file = join(folder, 'report.json');
    if (content !== undefined) writeFileSync(file, content);
    check(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('libtest: all binaries count, ignored tests do not', () => {
  const output = [
    'running 3 tests',
    'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    'test disk::is_kept ... ok',
    'test disk::tears ... FAILED',
    'test wire::panics - should panic ... FAILED',
    '',
    'failures:',
    '',
    '---- disk::tears stdout ----',
    'assertion failed: 1 == 2',
    'note: run with RUST_BACKTRACE=1',
    '',
    '---- wire::panics stdout ----',
    'note: test did not panic as expected',
    '',
    'failures:',
    '    disk::tears',
    '    wire::panics',
    '',
    'test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s',
    'a line about test result: ok. 9 passed; 9 failed; inside another',
  ].join('\n');
  assert.deepEqual(libtestCounts(output), {
    passed: 7,
    failed: 2,
    failures: [
      { test: 'disk::tears', why: 'assertion failed: 1 == 2\nnote: run with RUST_BACKTRACE=1' },
      { test: 'wire::panics', why: 'note: test did not panic as expected' },
    ],
  });
  assert.deepEqual(libtestCounts('error: could not compile'), NOTHING);
});

test('node --test: the spec and the tap reporter', () => {
  const lines = ['tests 6', 'suites 0', 'pass 4', 'fail 1', 'cancelled 1', 'skipped 0'];
  for (const mark of ['ℹ ', '# ']) {
    const output = lines.map((line) => mark + line).join('\n');
    assert.deepEqual(nodeTestCounts(output), { passed: 4, failed: 2, failures: [] });
  }
  const failing = 'test at scripts/a.test.mjs:3:1\n✖ it adds up (0.5ms)\n  AssertionError: 1 !== 2\n';
  assert.deepEqual(nodeTestCounts(`ℹ pass 4\nℹ fail 1\n\n✖ failing tests:\n\n${failing}`), {
    passed: 4,
    failed: 1,
    failures: [{ test: 'it adds up', why: '  AssertionError: 1 !== 2' }],
  });
});

test('vitest: a file that does not load is a failure', () => {
  const report = {
    numPassedTests: 3,
    numFailedTests: 1,
    testResults: [
      {
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'a counter counts' },
          { status: 'failed', fullName: 'a map maps', failureMessages: ['\u001b[31mexpected 1\u001b[39m'] },
        ],
      },
      { status: 'failed', name: 'lists.test.ts', message: 'no such module', assertionResults: [] },
    ],
  };
  const failures = [
    { test: 'lists.test.ts', why: 'no such module' },
    { test: 'a map maps', why: 'expected 1' },
  ];
  withReport(JSON.stringify(report), (file) =>
    assert.deepEqual(vitestCounts(file), { passed: 3, failed: 2, failures }),
  );
});

test('Playwright: what passed only when tried again has failed', () => {
  const spec = (title, status, ...messages) => ({
    title,
    file: 'tabs.spec.ts',
    line: 7,
    tests: [{ projectName: 'chromium', status, results: messages.map((message) => ({ errors: [{ message }] })) }],
  });
  const report = {
    stats: { expected: 5, unexpected: 1, flaky: 1, skipped: 1 },
    errors: [],
    suites: [
      {
        specs: [spec('it stands', 'expected')],
        suites: [{ specs: [spec('it falls', 'unexpected', 'a\nb'), spec('it wavers', 'flaky', 'late')] }],
      },
    ],
  };
  const failures = [
    { test: '[chromium] tabs.spec.ts:7 it falls', why: 'a\nb' },
    { test: '[chromium] tabs.spec.ts:7 it wavers', why: 'late' },
  ];
  withReport(JSON.stringify(report), (file) =>
    assert.deepEqual(playwrightCounts(file), { passed: 5, failed: 2, failures }),
  );
});

test('a report that is missing or cut short counts nothing', () => {
  for (const content of [undefined, '', '{"stats":']) {
    withReport(content, (file) => {
      assert.deepEqual(vitestCounts(file), NOTHING);
      assert.deepEqual(playwrightCounts(file), NOTHING);
    });
  }
});

test('sum', () => {
  assert.deepEqual(sum([]), NOTHING);
  assert.deepEqual(
    sum([
      { passed: 1, failed: 1, failures: [{ test: 'it falls', why: 'late' }] },
      { passed: 3, failed: 0 },
    ]),
    { passed: 4, failed: 1, failures: [{ test: 'it falls', why: 'late' }] },
  );
});
