/**
 * Getting the engine: the wasm is fetched once, when the first store is opened, and started once for the page.
 *
 * Importing the package does none of this, so it may be imported on a server or in a page that opens no store.
 */
import { GossipStoreError } from './errors.js';
import * as bindings from './gossipstore.js';
import type { Failure } from './host.js';
import { findWasm, wasmNotFound } from './wasm-source.js';

export type Bindings = Pick<typeof bindings, 'Engine' | 'limits' | 'readInvitation' | 'storeOf'>;

let starting: Promise<Bindings> | undefined;
/** Why the engine may not be called any more. */
let defect: Failure | undefined;
const defectListeners = new Set<(failure: Failure) => void>();

/** The started engine. A failure is not remembered: the next call tries again. */
export function loadEngine(): Promise<Bindings> {
  if (defect) return Promise.reject(defect);
  starting ??= start().catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

/** Calls `listener` should the engine stop because of a defect, or at once if it has; until the returned function is called. */
export function onDefect(listener: (failure: Failure) => void): () => void {
  if (defect) listener(defect);
  else defectListeners.add(listener);
  return () => defectListeners.delete(listener);
}

/** Marks the engine as unusable: its memory may be half changed, and its promises will not settle. */
export function reportDefect(words: string): Failure {
  if (!defect) {
    const message = `the engine stopped because of a defect in GossipStore; reload the page, and please report this: ${words}`;
    defect = { code: 'Internal', message };
    for (const listener of defectListeners) listener(defect);
    defectListeners.clear();
  }
  return defect;
}

async function start(): Promise<Bindings> {
  // Literal in this form, because bundlers look for it to ship the file along.
  const url = new URL('./gossipstore_bg.wasm', import.meta.url);
  const source = await findWasm(url);
  try {
    await bindings.default({ module_or_path: source });
  } catch (cause) {
    // A WebAssembly.CompileError both for bytes that are no wasm and in a page whose policy forbids wasm.
    const words = cause instanceof Error ? cause.message : String(cause);
    if (/unsafe-eval|Content.Security.Policy|CSP/i.test(words)) {
      const remedy = "add 'wasm-unsafe-eval' to script-src in its Content-Security-Policy";
      throw new GossipStoreError('WasmBlocked', `this page does not allow WebAssembly; ${remedy}`, { cause });
    }
    throw wasmNotFound(url, `what is there is not this version's file (${words})`, cause);
  }
  bindings.onPanic(reportDefect);
  return bindings;
}
