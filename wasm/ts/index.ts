/**
 * `@gossipstore/core`: a replicated store for browser tabs, and a cache.
 *
 * Importing this does nothing but define things: the engine is fetched when the first store is opened.
 */
export { type EvictionReason, LRUCache, type LRUCacheOptions } from './lru-cache.js';
export * from './replicated-store.js';
