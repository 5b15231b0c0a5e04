/** What a store tells through `addEventListener`. */
import type { GossipStoreError } from './errors.js';
import type { Status } from './host.js';

/** The status changed: a peer came, a relay went, a write became durable. */
export class StatusEvent extends Event {
  readonly status: Status;

  constructor(status: Status) {
    super('status');
    this.status = status;
  }
}

/** A key has more than one value now: people wrote to it without knowing of each other. `getSiblings` gives all of them. */
export class ConflictEvent extends Event {
  readonly key: string;

  constructor(key: string) {
    super('conflict');
    this.key = key;
  }
}

/** Entries arrive from a peer, as in a first sync. */
export class SyncProgressEvent extends Event {
  /** Which peer; compare `status.peers`. */
  readonly peer: string;
  /** Changes received so far. */
  readonly done: number;
  /** Changes that will come in all, as far as known. */
  readonly expected: number;

  constructor(peer: string, done: number, expected: number) {
    super('progress');
    this.peer = peer;
    this.done = done;
    this.expected = expected;
  }
}

/** Something went wrong that no call waits for. */
export class StoreErrorEvent extends Event {
  readonly error: GossipStoreError;

  constructor(error: GossipStoreError) {
    super('error');
    this.error = error;
  }
}

export interface StoreEventMap {
  status: StatusEvent;
  conflict: ConflictEvent;
  progress: SyncProgressEvent;
  error: StoreErrorEvent;
}
