/**
 * The package as a page loads it: over HTTP, in Chromium, without a bundler. A server hands out the built package and answers for
 * single files as each test wants.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type * as Core from '@gossipstore/core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
// @ts-expect-error a plain script, without types
import { CHROMIUM_FLAGS } from '../../scripts/chromium.mjs';
// @ts-expect-error a plain script, without types
import { findChromium } from '../../scripts/paths.mjs';

const TYPES: Record<string, string> = { js: 'text/javascript', wasm: 'application/wasm' };

/** Headers of the page; status of the wasm. Each test starts with none and 200. */
let policy: string | undefined;
let wasmStatus = 200;

const server = createServer((request, response) => {
  const file = (request.url ?? '/').slice(1);
  if (file === '') {
    const headers = policy === undefined ? {} : { 'content-security-policy': policy };
    response.writeHead(200, { 'content-type': 'text/html', ...headers });
    response.end('<!doctype html><title>test</title><script type="module" src="/page.js"></script>');
    return;
  }
  if (file === 'page.js') {
    response.writeHead(200, { 'content-type': 'text/javascript' });
    response.end("import * as core from './index.js'; globalThis.core = core;");
    return;
  }
  const type = TYPES[file.split('.').pop() ?? ''];
  const status = type === undefined ? 404 : type === TYPES.wasm ? wasmStatus : 200;
  response.writeHead(status, { 'content-type': type ?? 'text/plain' });
  response.end(status === 200 ? readFileSync(fileURLToPath(new URL(`../dist/${file}`, import.meta.url))) : '');
});

let browser: Browser;
let page: Page;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  browser = await chromium.launch({ executablePath: findChromium(), args: CHROMIUM_FLAGS });
}, 30_000);
afterAll(async () => {
  await browser.close();
  server.close();
});

beforeEach(async () => {
  policy = undefined;
  wasmStatus = 200;
  page = await browser.newPage();
});
afterEach(() => page.close());

async function visit(): Promise<void> {
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => 'core' in globalThis);
}

/** Opens a store in the page; `opened`, or the error's code and message. */
function attempt(): Promise<string> {
  return page.evaluate(async () => {
    const { GossipStore } = (globalThis as unknown as { core: typeof Core }).core;
    try {
      await (await GossipStore.open('x')).close();
      return 'opened';
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return `${code}: ${message}`;
    }
  });
}

it('fetches the wasm when the first store is opened, once, and works', async () => {
  const fetched: string[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('.wasm')) fetched.push(request.url());
  });
  await visit();
  expect(fetched).toEqual([]);

  const read = await page.evaluate(async () => {
    const { GossipStore } = (globalThis as unknown as { core: typeof Core }).core;
    const [one, two] = await Promise.all([GossipStore.open<Map<string, Date>>('one'), GossipStore.open('two')]);
    await one.set('k', new Map([['date', new Date(0)]]));
    await two.setMany(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n]));
    const found = (await one.get('k'))?.get('date')?.getTime();
    const sizes = [one.size, two.size];
    await Promise.all([one.close(), two.close()]);
    return [found, ...sizes];
  });
  expect(read).toEqual([0, 1, 2_000]);
  expect(fetched).toHaveLength(1);
});

it('says what to do when the wasm is not served, and tries again', async () => {
  await visit();
  wasmStatus = 404;
  expect(await attempt()).toMatch(/^WasmNotFound: .*answered 404\. Remedy: serve gossipstore_bg\.wasm/);
  wasmStatus = 200;
  expect(await attempt()).toBe('opened');
});

it("says what to do when the page's policy forbids wasm", async () => {
  policy = "default-src 'self'; script-src 'self' 'unsafe-inline'";
  await visit();
  expect(await attempt()).toMatch(/^WasmBlocked: .*'wasm-unsafe-eval' to script-src/);
  policy += " 'wasm-unsafe-eval'";
  await visit();
  expect(await attempt()).toBe('opened');
});
