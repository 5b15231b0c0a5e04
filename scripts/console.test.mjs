// Running other programs: what they say, how they end, and that none outlives the time it was given.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure, run } from './console.mjs';

const node = (script, options) => run('a step', process.execPath, ['--eval', script], { mayFail: true, ...options });

test('the output of both streams and the code', async () => {
  const { code, output, timedOut } = await node("console.log('out'); console.error('err'); process.exitCode = 3");
  assert.deepEqual([code, timedOut], [3, false]);
  assert.match(output, /out/);
  assert.match(output, /err/);
});

test('a step that fails and may not, or is not there, is a failure that says so', async () => {
  await assert.rejects(node('process.exitCode = 3', { mayFail: false }), (error) => {
    return error instanceof Failure && /a step failed .*code 3/.test(error.message);
  });
  await assert.rejects(run('a step', '/absent/program', []), /was not found/);
});

test('a step that hangs is ended with what it started, and has failed', { timeout: 60_000 }, async () => {
  const forever = 'while true; do sleep 0.05; done';
  // The first ends well when it is asked to; the other would keep the output open for as long as it lives.
  const script = `(trap 'echo the other was told; exit 0' TERM; ${forever}) & trap 'exit 0' TERM; ${forever}`;
  const { code, output, timedOut } = await run('a step', 'sh', ['-c', script], { mayFail: true, limitMs: 1_000 });
  assert.deepEqual([code, timedOut], [1, true]);
  assert.match(output, /the other was told/);
});

test('a step that does not listen is killed, also when what it started has left its group', {
  timeout: 60_000,
}, async () => {
  const script = "trap '' TERM; setsid sleep 10 & while true; do sleep 0.05; done";
  const { timedOut } = await run('a step', 'sh', ['-c', script], { mayFail: true, limitMs: 1_000 });
  assert.equal(timedOut, true);
});
