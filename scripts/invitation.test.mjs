import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { invitation, secretIn } from './invitation.mjs';

test('an invitation is what the store itself would write', () => {
  const vectors = JSON.parse(readFileSync(new URL('../core/tests/vectors/membership.json', import.meta.url), 'utf8'));
  const written = invitation({
    name: 'shopping list',
    secret: Uint8Array.from({ length: 32 }, (_, n) => n),
    relays: ['/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooWExample'],
    expires: 1_800_000_000,
  });
  assert.equal(written, vectors.invitation);
});

test('a secret in a file is made once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipstore-'));
  const path = join(folder, 'list.key');
  try {
    const secret = secretIn(path);
    assert.equal(secret.length, 32);
    assert.deepEqual(secretIn(path), secret);
    writeFileSync(path, 'short');
    assert.throws(() => secretIn(path), /holds no secret/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
