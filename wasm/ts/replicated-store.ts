/**
 * The replicated store: all that `@gossipstore/core` exports but the cache. The build makes one file of this and what it imports, so
 * that the entry can hand out the cache without a bundler having to judge whether the rest has side effects.
 */
export type { BatchOptions } from './batch.js';
export type { Change } from './changes.js';
export type { Counter } from './counter.js';
export { type ErrorCode, GossipStoreError } from './errors.js';
export { ConflictEvent, StatusEvent, StoreErrorEvent, type StoreEventMap, SyncProgressEvent } from './events.js';
export type { Context, PeerStatus, Refusals, RelayStatus, Status, StorageStatus } from './host.js';
export type { Invitation, InviteOptions, JoinOptions } from './invitation.js';
export type { CacheOptions, OpenOptions } from './options.js';
export { UnreadableValue } from './payload.js';
export type { Presence, Present } from './presence.js';
export type { Range } from './range.js';
export {
  type ChangesOptions,
  GossipStore,
  type Sibling,
  type Siblings,
  type WriteOptions,
} from './store.js';
export type { Transaction } from './transaction.js';
