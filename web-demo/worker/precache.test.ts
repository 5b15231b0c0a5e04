// The cache over a network and a cache storage that are plain maps: what is kept, what is answered, and what a failure leaves.
import { expect, test } from 'vitest';
import { versionName } from './messages.js';
import { Precache } from './precache.js';

const SCOPE = 'https://example.org/list/';
const at = (path: string) => new URL(path, SCOPE).href;

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Buffer.from(digest).toString('hex');
}

/** A browser's caches, of which only what the worker uses is there. */
class Caches {
  readonly byName = new Map<string, Map<string, Response>>();

  async open(name: string) {
    const entries = this.byName.get(name) ?? new Map<string, Response>();
    this.byName.set(name, entries);
    return {
      match: async (url: string) => entries.get(url)?.clone(),
      put: async (url: string, response: Response) => void entries.set(url, response),
    } as unknown as Cache;
  }
  async keys() {
    return [...this.byName.keys()];
  }
  async delete(name: string) {
    return this.byName.delete(name);
  }
  async match(url: string, { cacheName = '' }: MultiCacheQueryOptions) {
    return this.byName.get(cacheName)?.get(url)?.clone();
  }
}

/** A browser and a server, and versions of the page that meet there. */
function world() {
  const caches = new Caches();
  const server = new Map<string, string>();
  /** What lies in the browser's own cache. */
  const http = new Map<string, string>();
  const asked: string[] = [];
  const fetch = async (request: Request | string, { cache }: RequestInit = {}) => {
    const url = typeof request === 'string' ? request : request.url;
    asked.push(url);
    const body = (cache === 'default' ? http.get(url) : undefined) ?? server.get(url);
    return new Response(body ?? 'not found', { status: body === undefined ? 404 : 200 });
  };
  const version = async (name: string, files: Record<string, string>) => {
    const hashes = await Promise.all(Object.entries(files).map(async ([path, text]) => [path, await hashOf(text)]));
    return new Precache(name, Object.fromEntries(hashes), SCOPE, { caches, fetch });
  };
  const publish = (files: Record<string, string>) => {
    server.clear();
    for (const [path, text] of Object.entries(files)) server.set(at(path === 'index.html' ? '' : path), text);
  };
  return { caches, server, http, asked, version, publish };
}

const FILES = { 'index.html': 'page 1', 'assets/a-1.js': 'script 1', 'assets/core.wasm': 'engine' };
const NEXT = { 'index.html': 'page 2', 'assets/a-2.js': 'script 2', 'assets/core.wasm': 'engine' };

const read = async (precache: Precache, url: string) => (await precache.answer(url, new Request(url))).text();

test('every file is kept, and answered without a network', async () => {
  const { version, publish, server } = world();
  publish(FILES);
  const one = await version('1', FILES);
  expect(await one.isComplete()).toBe(false);
  await one.fill();
  expect(await one.isComplete()).toBe(true);
  server.clear();
  for (const [path, text] of Object.entries(FILES)) expect(await read(one, at(path))).toBe(text);
});

test('a file that is missing or another one leaves nothing behind, and what was there as it was', async () => {
  for (const wrong of [undefined, 'script 1']) {
    const { caches, version, publish, server } = world();
    publish(FILES);
    const one = await version('1', FILES);
    await one.fill();
    publish(NEXT);
    if (wrong === undefined) server.delete(at('assets/a-2.js'));
    else server.set(at('assets/a-2.js'), wrong);
    await expect((await version('2', NEXT)).fill()).rejects.toThrow('assets/a-2.js');
    expect(await caches.keys()).toEqual([one.name]);
    expect(await one.isComplete()).toBe(true);
  }
});

test('what is the same in two versions is not fetched again, and a stale copy is not taken', async () => {
  const { version, publish, asked, http } = world();
  publish(FILES);
  await (await version('1', FILES)).fill();
  publish(NEXT);
  http.set(at('assets/a-2.js'), 'of an earlier try');
  asked.length = 0;
  const two = await version('2', NEXT);
  await two.fill();
  expect(asked.sort()).toEqual([SCOPE, at('assets/a-2.js'), at('assets/a-2.js')]);
  expect(await read(two, at('assets/a-2.js'))).toBe('script 2');
});

test('an old page finds its files until its cache is dropped, and other caches of the origin are left alone', async () => {
  const { caches, version, publish } = world();
  const others = ['another-app', versionName('https://example.org/elsewhere/', '1')];
  for (const name of others) await caches.open(name);
  publish(FILES);
  const one = await version('1', FILES);
  await one.fill();
  publish(NEXT);
  const two = await version('2', NEXT);
  await two.fill();
  expect(await read(two, at('index.html'))).toBe('page 2');
  expect(await read(two, at('assets/a-1.js'))).toBe('script 1');

  await two.tidy(new Set([one.name, two.name]));
  expect(await read(two, at('assets/a-1.js'))).toBe('script 1');
  await two.tidy(new Set([two.name]));
  expect(await caches.keys()).toEqual([...others, two.name]);
  expect(await read(two, at('assets/a-1.js'))).toBe('not found');
});

test('requests for the page and its files are answered from the cache, and no others', async () => {
  const { version } = world();
  const one = await version('1', { ...FILES, 'icon.svg': 'icon' });
  const cases: [string, string, string | undefined, string?][] = [
    ['navigate', '', 'index.html'],
    ['navigate', '?from=mail', 'index.html'],
    ['navigate', 'index.html?x#list=shopping', 'index.html'],
    ['navigate', 'elsewhere', undefined],
    ['navigate', 'icon.svg', 'icon.svg'],
    ['cors', 'assets/a-1.js', 'assets/a-1.js'],
    // Another version's, perhaps.
    ['cors', 'assets/a-0.js', 'assets/a-0.js'],
    ['cors', 'assets/a-1.js?x', undefined],
    ['cors', 'sw.js', undefined],
    ['cors', '/other/', undefined],
    ['cors', 'https://elsewhere.example/list/icon.svg', undefined],
    ['navigate', '', undefined, 'POST'],
  ];
  for (const [mode, path, expected, method = 'GET'] of cases) {
    const url = one.urlOf({ method, mode: mode as RequestMode, url: at(path) });
    expect(url, `${mode} ${path}`).toBe(expected === undefined ? undefined : at(expected));
  }
});
