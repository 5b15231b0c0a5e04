/**
 * What a page does with its contender: it opens it, reads a key, and is asked for the rest as `window.bench`.
 *
 * A contender is a module with `open()`, `get(key)`, `set(key, value)`, which resolves when that write is stored, and
 * `setAll(entries)`, which resolves when all are.
 */

import { isValueFor, keyFor, valueFor } from './entries.mjs';
import { recordBytes } from './records.mjs';

/** Which key the page reads first: one in the middle. */
const FIRST_READ = 50_000;

/** Resolves with when the key was read, in ms since the navigation, whether it was found, and where the data is. */
export async function run(contender) {
  let next = 0;
  window.bench = {
    /** Which of these entries do not read as they were written, the last time being that overwriting. */
    async missing(numbers, overwritten) {
      const missing = [];
      for (const n of numbers) if (!isValueFor(await contender.get(keyFor(n)), n, overwritten)) missing.push(n);
      return missing;
    },

    /** Writes a number of entries, all at once; how many ms until they are stored. */
    async fill(count, overwritten) {
      const entries = Array.from({ length: count }, (_, n) => [keyFor(n), valueFor(n, overwritten)]);
      const start = performance.now();
      await contender.setAll(entries);
      return performance.now() - start;
    },

    /** Writes new keys for some ms, so many in flight at any time; how many were stored a second. */
    async rate(inFlight, forMs) {
      const first = next;
      const start = performance.now();
      const lane = async () => {
        while (performance.now() - start < forMs) {
          const n = next;
          next += 1;
          await contender.set(keyFor(n), valueFor(n));
        }
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
      return ((next - first) * 1_000) / (performance.now() - start);
    },

    recordBytes,

    /** What the browser says that the origin uses. */
    estimatedBytes: async () => (await navigator.storage.estimate()).usage,

    /** The memory of the contender's wasm, if it has any. */
    wasmBytes: () => contender.wasmBytes?.() ?? 0,
  };
  await contender.open();
  const value = await contender.get(keyFor(FIRST_READ));
  const ms = performance.now();
  return { ms, found: isValueFor(value, FIRST_READ), kind: contender.kind?.() ?? 'indexeddb' };
}
