import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addWorker, describePage } from './build.js';

let folder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossipstore-page-'));
  writeFileSync(join(folder, 'index.html'), '<meta name="version" content=""><h1>List</h1>');
  writeFileSync(join(folder, 'app.js'), 'run()');
  writeFileSync(join(folder, 'app.js.map'), '{}');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the version is one of the files, and says when any of them changes', async () => {
  const before = describePage(folder);
  expect(Object.keys(before.files)).toEqual(['app.js', 'index.html']);
  expect(before.index).toContain(`content="${before.version}"`);

  await addWorker(folder);
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toBe(before.index);
  // The same page again is the same version, and the worker is no part of it.
  expect(describePage(folder)).toEqual(before);

  const versions = new Set([before.version]);
  for (const name of ['app.js', 'index.html']) {
    const copy = `${folder}-${name}`;
    cpSync(folder, copy, { recursive: true });
    writeFileSync(join(copy, name), `${readFileSync(join(copy, name), 'utf8')} `);
    versions.add(describePage(copy).version);
    rmSync(copy, { recursive: true });
  }
  expect(versions.size).toBe(3);
});

test('the worker is one script that carries its list', async () => {
  await addWorker(folder);
  const worker = readFileSync(join(folder, 'sw.js'), 'utf8');
  const { version, files } = describePage(folder);
  for (const text of [version, ...Object.values(files)]) expect(worker).toContain(text);
  expect(worker).not.toMatch(/\b(import|export)\b/);
});

test('a page that has no place for its version is refused', () => {
  writeFileSync(join(folder, 'index.html'), '<h1>List</h1>');
  expect(() => describePage(folder)).toThrow('no place for its version');
});
