/** The package as it is installed: what importing it does, what loading the engine needs, and what is said when it is not there. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findWasm } from '../ts/wasm-source.js';

const built = fileURLToPath(new URL('../dist', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossipstore-package-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a script in a Node of its own; what it prints. */
function node(script: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }).trim();
}

it('does nothing when it is imported', () => {
  const before = 'const before = Object.getOwnPropertyNames(globalThis).join();';
  const forbidden = "globalThis.fetch = () => { throw new Error('fetched'); };";
  const look = `${before} ${forbidden}
    const exported = Object.keys(await import('${pathToFileURL(join(built, 'index.js'))}')).sort().join(' ');
    console.log(exported, before === Object.getOwnPropertyNames(globalThis).join(), process.getActiveResourcesInfo().length);`;
  const exported =
    'ConflictEvent GossipStore GossipStoreError LRUCache StatusEvent StoreErrorEvent SyncProgressEvent UnreadableValue';
  expect(node(look)).toMatch(new RegExp(`^${exported} true \\d$`));
});

it('has the cache as an entry that reaches none of the rest', () => {
  const reached = new Set<string>();
  const follow = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const [, next] of readFileSync(join(built, file), 'utf8').matchAll(/from ['"]\.\/([^'"]+)['"]/g))
      follow(next as string);
  };
  const { exports } = JSON.parse(readFileSync(join(built, 'package.json'), 'utf8'));
  follow(exports['./lru'].default.slice(2));
  expect([...reached].filter((file) => !file.startsWith('lru'))).toEqual([]);
});

it('leaves out the store, wasm and all, from an app that takes only the cache', async () => {
  const entry = join(built, 'index.js');
  const contents = `import { LRUCache } from ${JSON.stringify(entry)}; console.log(new LRUCache());`;
  const { metafile } = await build({
    stdin: { contents, resolveDir: built },
    ...{ bundle: true, format: 'esm', write: false, metafile: true },
  });
  const used = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  expect(used.map(([file]) => basename(file)).sort()).toEqual(['<stdin>', 'lru-cache.js']);
});

it('names files that are there, and packs them all', () => {
  const { exports, devDependencies, scripts } = JSON.parse(readFileSync(join(built, 'package.json'), 'utf8'));
  expect([devDependencies, scripts]).toEqual([undefined, undefined]);
  for (const target of Object.values(exports)) {
    for (const path of typeof target === 'string' ? [target] : Object.values(target as object)) {
      expect(existsSync(join(built, path)), path).toBe(true);
    }
  }
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: built, encoding: 'utf8' }));
  const files = packed.files.map(({ path }: { path: string }) => path).sort();
  expect(files).toEqual(readdirSync(built).sort());
  expect(files).toEqual(expect.arrayContaining(['LICENSE-APACHE', 'LICENSE-MIT', 'README.md']));
});

it('says what to do when the wasm is missing or another file, and tries again on the next open', () => {
  const copy = join(folder, 'copy');
  cpSync(built, copy, { recursive: true });
  const wasm = join(copy, 'gossipstore_bg.wasm');
  const moved = join(folder, 'moved.wasm');
  cpSync(wasm, moved);
  rmSync(wasm);
  const script = `
    import { cpSync, writeFileSync } from 'node:fs';
    const { GossipStore } = await import('${pathToFileURL(join(copy, 'index.js'))}');
    const attempt = () => GossipStore.open('x').then((store) => store.close().then(() => 'opened'), (e) => e.code + ' ' + e.message);
    console.log(await attempt());
    writeFileSync('${wasm}', 'not wasm');
    console.log(await attempt());
    cpSync('${moved}', '${wasm}');
    console.log(await attempt());`;
  const [missing, wrong, there] = node(script).split('\n');
  expect(missing).toMatch(/^WasmNotFound .*gossipstore_bg\.wasm: the file cannot be read\. Remedy: serve/);
  expect(wrong).toMatch(/^WasmNotFound .*not this version's file/);
  expect(there).toBe('opened');
});

describe('over HTTP', () => {
  const answers: Record<string, [status: number, type: string]> = {
    '/there': [200, 'application/wasm'],
    '/missing': [404, 'text/plain'],
    '/page': [200, 'text/html; charset=utf-8'],
  };
  const server = createServer((request, response) => {
    const [status, type] = answers[request.url ?? ''] ?? [500, 'text/plain'];
    response.writeHead(status, { 'content-type': type }).end('body');
  });
  let origin: string;

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it('takes the response as it is', async () => {
    const response = (await findWasm(new URL('/there', origin))) as Response;
    expect(await response.text()).toBe('body');
  });

  it.each([
    ['/missing', 'the server answered 404'],
    ['/page', 'the server answered with a page'],
  ])('says why %s is not the engine', async (path, why) => {
    const attempt = findWasm(new URL(path, origin));
    await expect(attempt).rejects.toMatchObject({ code: 'WasmNotFound', message: expect.stringContaining(why) });
  });

  it('says that the request failed', async () => {
    const attempt = findWasm(new URL('http://127.0.0.1:1/nobody'));
    await expect(attempt).rejects.toMatchObject({ code: 'WasmNotFound', cause: expect.anything() });
  });
});
