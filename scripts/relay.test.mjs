// Starting and stopping a relay, played by small shell scripts that behave as a relay may.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, portIsFree, startRelay } from './relay.mjs';

const ADDRESS = '/ip4/127.0.0.1/tcp/9091/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossipstore-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function startScript(name, lines) {
  const binary = join(folder, name);
  writeFileSync(binary, ['#!/bin/sh', ...lines].join('\n'));
  chmodSync(binary, 0o755);
  return startRelay({ binary, port: 9091, identity: join(folder, 'key') });
}

test('waits for the address, also when it comes in pieces, and stops politely', async () => {
  const half = ADDRESS.length >> 1;
  const relay = await startScript('good', [
    "trap 'exit 0' TERM",
    `printf '%s' 'listening on ${ADDRESS.slice(0, half)}'`,
    'sleep 0.1',
    `echo '${ADDRESS.slice(half)}'`,
    'while true; do sleep 0.05; done',
  ]);
  assert.equal(relay.address, ADDRESS);
  await relay.stop();
  assert.equal(await relay.exited, 0);
  await relay.stop();
});

test('a relay that cannot start: its own words and the remedy', async () => {
  const starting = startScript('taken', ["echo 'port 9091 is taken' >&2", 'exit 2']);
  await assert.rejects(starting, /port 9091 is taken.*RELAY_PORT/s);
});

test('of a long log the end is kept', async () => {
  const relay = await startScript('talkative', [
    `echo 'listening on ${ADDRESS}'`,
    `i=0; while [ $i -lt 4000 ]; do echo "line $i: ${'x'.repeat(50)}"; i=$((i+1)); done`,
    'echo last words',
  ]);
  await relay.exited;
  assert.equal(relay.address, ADDRESS);
  assert.match(relay.log(), /line 3999: x+\nlast words\n$/);
  assert.ok(relay.log().length <= 64 * 1024, `${relay.log().length} characters are kept`);
});

test('a relay that was never built', async () => {
  const starting = startRelay({ binary: join(folder, 'absent'), port: 1, identity: 'key' });
  await assert.rejects(starting, /npm run build/);
});

test('a port is free until someone listens on it', async () => {
  const port = await freePort();
  assert.equal(await portIsFree(port), true);
  const server = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  assert.equal(await portIsFree(port), false);
  await new Promise((resolve) => server.close(resolve));
});
