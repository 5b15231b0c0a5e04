/** Finding the engine's wasm file, in a page and in a server process, and saying what to do when it is not there. */
import { GossipStoreError } from './errors.js';

/** What `WebAssembly` takes: a response is compiled while it arrives. Throws `WasmNotFound`. */
export function findWasm(url: URL): Promise<Response | BufferSource> {
  return url.protocol === 'file:' ? readWasm(url) : fetchWasm(url);
}

/** The error for a file that is not there, or is not what it should be. */
export function wasmNotFound(url: URL, why: string, cause?: unknown): GossipStoreError {
  const remedy =
    'serve gossipstore_bg.wasm from the package beside its JavaScript; a bundler that knows `new URL` with `import.meta.url` does so';
  const message = `the engine was not found at ${url.href}: ${why}. Remedy: ${remedy}.`;
  return new GossipStoreError('WasmNotFound', message, cause === undefined ? undefined : { cause });
}

async function fetchWasm(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw wasmNotFound(url, 'the request failed; is there a network?', cause);
  }
  if (!response.ok) throw wasmNotFound(url, `the server answered ${response.status}`);
  // Servers of single-page applications answer with the application for every path that they do not know.
  if (response.headers.get('content-type')?.startsWith('text/html')) {
    throw wasmNotFound(url, 'the server answered with a page');
  }
  return response;
}

/** Node and Deno load modules from files, which `fetch` does not read there. */
async function readWasm(url: URL): Promise<BufferSource> {
  // Not a literal, so that bundlers for browsers leave it alone.
  const module = 'node:fs/promises';
  const { readFile } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ module)) as {
    readFile: (url: URL) => Promise<Uint8Array<ArrayBuffer>>;
  };
  try {
    return await readFile(url);
  } catch (cause) {
    throw wasmNotFound(url, 'the file cannot be read', cause);
  }
}
