// The server gives out the folder it was given and nothing else.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { resolveRequest, serve } from './serve.mjs';

/** What this process has open, on Linux. */
const OPEN_FILES = '/proc/self/fd';

let parent;
let page;

before(async () => {
  parent = mkdtempSync(join(tmpdir(), 'gossipstore-'));
  mkdirSync(join(parent, 'site', 'assets'), { recursive: true });
  mkdirSync(join(parent, 'site-private'));
  writeFileSync(join(parent, 'secret.txt'), 'secret');
  writeFileSync(join(parent, 'site-private', 'secret.txt'), 'secret');
  writeFileSync(join(parent, 'site', 'index.html'), '<!doctype html>');
  writeFileSync(join(parent, 'site', 'sw.js'), '//');
  writeFileSync(join(parent, 'site', 'manifest.webmanifest'), '{}');
  writeFileSync(join(parent, 'site', 'assets', 'core.wasm'), '\0asm');
  page = await serve(join(parent, 'site'));
});

after(async () => {
  await page.close();
  rmSync(parent, { recursive: true, force: true });
});

/** What a descriptor leads to; it may be closed while we look. */
function targetOf(descriptor) {
  try {
    return readlinkSync(descriptor);
  } catch {
    return undefined;
  }
}

/** A request whose path is sent as it is written; `fetch` would resolve the dots. */
function get(path, method = 'GET') {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: page.port, path, method }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    })
      .on('error', reject)
      .end();
  });
}

test('a folder means its index.html', async () => {
  const { status, headers, body } = await get('/?query');
  assert.equal(status, 200);
  assert.equal(body, '<!doctype html>');
  assert.match(headers['content-type'], /^text\/html/);
  assert.equal(headers['cache-control'], 'no-cache');
});

test('wasm comes as wasm, so that it compiles while it loads', async () => {
  const { status, headers } = await get('/assets/core.wasm');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/wasm');
});

test('what has no hash in its name is asked for anew, the service worker above all', async () => {
  for (const [path, type] of [
    ['/sw.js', /^text\/javascript/],
    ['/manifest.webmanifest', /^application\/manifest\+json/],
  ]) {
    const { status, headers } = await get(path);
    assert.equal(status, 200);
    assert.match(headers['content-type'], type);
    assert.equal(headers['cache-control'], 'no-cache');
  }
  assert.match((await get('/assets/core.wasm')).headers['cache-control'], /immutable/);
});

test('HEAD tells the size and sends nothing', async () => {
  const { status, headers, body } = await get('/index.html', 'HEAD');
  assert.equal(status, 200);
  assert.equal(headers['content-length'], '15');
  assert.equal(body, '');
});

test('what is outside, absent, malformed or written to is refused', async () => {
  for (const path of [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/..%2fsite-private%2fsecret.txt',
    '/%00',
    '/%',
    '/absent',
    '/assets',
  ]) {
    const { status, body } = await get(path);
    assert.equal(status, 404, path);
    assert.doesNotMatch(body, /secret/, path);
  }
  assert.equal((await get('/', 'POST')).status, 405);
});

test('a download that is broken off leaves no file open', { skip: !existsSync(OPEN_FILES) }, async () => {
  const large = join(parent, 'site', 'large.bin');
  writeFileSync(large, Buffer.alloc(32 << 20));
  // Read from the system, since a leaked stream shows nowhere else.
  const isOpen = () => readdirSync(OPEN_FILES).some((descriptor) => targetOf(join(OPEN_FILES, descriptor)) === large);
  await new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: page.port, path: '/large.bin' }, (response) => {
      response.once('data', () => {
        assert.ok(isOpen());
        response.once('close', resolve).on('error', () => {});
        asked.destroy();
      });
    });
    asked.on('error', reject).end();
  });
  const deadline = Date.now() + 10_000;
  while (isOpen() && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!isOpen(), 'the file is still open');
});

test('a sibling folder with the same beginning is outside', () => {
  assert.equal(resolveRequest('/srv/site', '/..%2fsite-private/x'), undefined);
});

test('a taken port is an error, not a hang', async () => {
  await assert.rejects(serve(parent, page.port), { code: 'EADDRINUSE' });
});
