// What counts as a change of the sources, and what becomes of a build that failed.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ROOT, STATE } from './paths.mjs';
import { fingerprint, unlessBuilt } from './stamp.mjs';

const NAME = 'test-of-stamps';
let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossipstore-'));
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'src', 'a.rs'), 'a');
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(STATE, `${NAME}.stamp`), { force: true });
});

const print = (salt) => fingerprint([relative(ROOT, folder)], salt);

test('contents, names and the salt count; times and what was built do not', () => {
  const before = print();
  utimesSync(join(folder, 'src', 'a.rs'), 0, 0);
  mkdirSync(join(folder, 'dist'));
  writeFileSync(join(folder, 'dist', 'a.js'), 'built');
  assert.equal(print(), before);

  assert.notEqual(print('dev'), before);
  writeFileSync(join(folder, 'src', 'a.rs'), 'b');
  const changed = print();
  assert.notEqual(changed, before);
  writeFileSync(join(folder, 'src', 'b.rs'), '');
  assert.notEqual(print(), changed);
});

test('what stands is not built again', async () => {
  let builds = 0;
  const build = (prints, output = folder) =>
    unlessBuilt(NAME, prints, output, async () => {
      builds += 1;
    });
  assert.equal(await build(['one']), true);
  assert.equal(await build(['one']), false);
  assert.equal(await build(['two', 'one']), false);
  assert.equal(await build(['two']), true);
  assert.equal(await build(['two'], join(folder, 'deleted')), true);
  assert.equal(builds, 3);
});

test('a build that failed is tried again, also when the sources are back where they were', async () => {
  await unlessBuilt(NAME, ['one'], folder, async () => {});
  const failing = unlessBuilt(NAME, ['two'], folder, () => Promise.reject(new Error('broken')));
  await assert.rejects(failing, /broken/);
  assert.equal(await unlessBuilt(NAME, ['one'], folder, async () => {}), true);
});
