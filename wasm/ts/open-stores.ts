/** Which stores are open in this page, known to every copy of this package that the page has loaded. */
import { GossipStoreError } from './errors.js';

/** From the global registry of symbols: a second copy, bundled apart or of another version, finds the same set. */
const OPEN_STORES = Symbol.for('@gossipstore/core open stores');

/** Takes the name for one opening; throws when it is taken. Returns how to give it back. */
export function claim(name: string): () => void {
  const page = globalThis as { [OPEN_STORES]?: Set<string> };
  page[OPEN_STORES] ??= new Set();
  const names = page[OPEN_STORES];
  if (names.has(name)) {
    // Two replicas of one store in one page would each believe to be the only writer.
    const remedy =
      'share the store that open returned, or close it first; if this page holds two copies of @gossipstore/core, keep one';
    throw new GossipStoreError('AlreadyOpen', `the store \`${name}\` is already open in this page; ${remedy}`);
  }
  names.add(name);
  return () => names.delete(name);
}
