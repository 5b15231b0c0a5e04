/**
 * `@gossipstore/core`: a replicated store for browser tabs, and a cache.
 *
 * Importing this does nothing but define things: the engine is fetched when the first store is opened.
 */
export type { BatchOptions } from './batch.js';
export type { Change } from './changes.js';
export type { Counter } from './counter.js';
export { type ErrorCode, GossipStoreError } from './errors.js';
export { ConflictEvent, StatusEvent, StoreErrorEvent, type StoreEventMap, SyncProgressEvent } from './events.js';
export type { Context, PeerStatus, RelayStatus, Status, StorageStatus } from './host.js';
export { type EvictionReason, LRUCache, type LRUCacheOptions } from './lru-cache.js';
export type { CacheOptions, OpenOptions } from './options.js';
export { UnreadableValue } from './payload.js';
export type { Range } from './range.js';
export {
  type ChangesOptions,
  GossipStore,
  type Sibling,
  type Siblings,
  type WriteOptions,
} from './store.js';
export type { Transaction } from './transaction.js';
