// Counts are read from what the runners say; each case here is what one of them said.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { libtestCounts, nodeTestCounts, playwrightCounts, sum, vitestCounts } from './counts.mjs';

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
    'test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s',
    'a line about test result: ok. 9 passed; 9 failed; inside another',
  ].join('\n');
  assert.deepEqual(libtestCounts(output), { passed: 7, failed: 2 });
  assert.deepEqual(libtestCounts('error: could not compile'), { passed: 0, failed: 0 });
});

test('node --test: the spec and the tap reporter', () => {
  const lines = ['tests 6', 'suites 0', 'pass 4', 'fail 1', 'cancelled 1', 'skipped 0'];
  for (const mark of ['ℹ ', '# ']) {
    assert.deepEqual(nodeTestCounts(lines.map((line) => mark + line).join('\n')), { passed: 4, failed: 2 });
  }
});

test('vitest: a file that does not load is a failure', () => {
  const report = {
    numPassedTests: 3,
    numFailedTests: 1,
    testResults: [
      { status: 'failed', assertionResults: [{}] },
      { status: 'failed', assertionResults: [] },
    ],
  };
  withReport(JSON.stringify(report), (file) => assert.deepEqual(vitestCounts(file), { passed: 3, failed: 2 }));
});

test('Playwright: what passed only when tried again has failed', () => {
  const report = { stats: { expected: 5, unexpected: 1, flaky: 1, skipped: 1 }, errors: [] };
  withReport(JSON.stringify(report), (file) => assert.deepEqual(playwrightCounts(file), { passed: 5, failed: 2 }));
});

test('a report that is missing or cut short counts nothing', () => {
  for (const content of [undefined, '', '{"stats":']) {
    withReport(content, (file) => {
      assert.deepEqual(vitestCounts(file), { passed: 0, failed: 0 });
      assert.deepEqual(playwrightCounts(file), { passed: 0, failed: 0 });
    });
  }
});

test('sum', () => {
  assert.deepEqual(sum([]), { passed: 0, failed: 0 });
  assert.deepEqual(
    sum([
      { passed: 1, failed: 2 },
      { passed: 3, failed: 0 },
    ]),
    { passed: 4, failed: 2 },
  );
});
