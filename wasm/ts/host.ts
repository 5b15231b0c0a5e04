/**
 * The one interface between the facade and the engine: requests, replies and events, all plain values that structured clone
 * carries. The facade does not know where the engine runs: in this thread (`local-host.ts`), in another tab or in a worker.
 *
 * Values are bytes here; the facade encodes and decodes them, so that the work is done in the tab that wants it.
 */
import type { ErrorCode } from './errors.js';
import type { CacheOptions, CheckedIceServer } from './options.js';
import type { PackedValues } from './packed-values.js';

/** Where the data is, who is connected, and why not. */
export interface Status {
  /** Whether this tab runs the engine (`leader`) or another tab of the profile does. */
  readonly role: 'leader' | 'follower';
  /** The best way to any peer: none, not yet, through a relay, or directly. */
  readonly network: 'offline' | 'connecting' | 'relayed' | 'direct';
  readonly peers: readonly PeerStatus[];
  readonly storage: StorageStatus;
  readonly relays: readonly RelayStatus[];
  /** Writes that are visible but not durable yet. */
  readonly pending: number;
  /** How often what could do harm was refused since this tab, or the one that leads, opened the store. */
  readonly refused: Refusals;
}

/** How often each limit was reached. A few are normal; many say that somebody is up to no good. */
export interface Refusals {
  /** Connections that were not let in, as 32 members were linked already, or 16 others were on their way to prove that they are some. */
  readonly connections: number;
  /** Connections whose other side did not prove to be a member. */
  readonly strangers: number;
  /** Connections that were closed because the other side opened one stream too many. */
  readonly streams: number;
  /** Frames that were too long or wrong, or acknowledged and never sent. */
  readonly frames: number;
  /** How often a member was not read from for a while, as it sent more than 2,000 frames or 64 MB a second. */
  readonly pauses: number;
  /** Gossip that no member had sealed, or that was wrong. */
  readonly messages: number;
  /** Messages that were dropped, as a member had handed on more than 20,000 a second, 64 MB, or 1,000 that say who is present. What was written comes all the same. */
  readonly floods: number;
  /** Tabs that are not shown as present, as 256 were known. */
  readonly presences: number;
  /** Transactions that came before what they depend on and were dropped, as many others waited. What was among them comes again. */
  readonly transactions: number;
  /** Members that were given up because they could not be reached. */
  readonly members: number;
}

export interface PeerStatus {
  readonly id: string;
  readonly path: 'relayed' | 'direct';
  /** Why the bytes pass a relay, where they do: what stands in the way of a direct connection, or that one is being tried. */
  readonly relayedBecause?: string;
  /** The last round trip; `undefined` until the first is measured. */
  readonly rttMs?: number;
  /** Whether the peer is known to hold exactly what this replica holds. */
  readonly inSync: boolean;
  /** Bytes of data from and to the peer since the link stands, without the protocols' envelopes. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface StorageStatus {
  /** `memory`: gone when the store is closed, unless a peer has it. */
  readonly kind: 'memory' | 'indexeddb' | 'file';
  /**
   * Why nothing can be stored at present, or why the data is in memory where that was not asked for; or that no tab gets at what is stored:
   * calls wait until one does.
   */
  readonly problem?: string;
  /** What became of what was stored before, if it was gone when the store was opened, and what follows from that. */
  readonly lost?: string;
  /** Whether the browser has promised not to throw the data away under pressure. */
  readonly persisted: boolean;
  /** Bytes of the keys and of the values they read as. */
  readonly usedBytes: number;
  /** What the browser allows, when it says so. */
  readonly quotaBytes?: number;
}

export interface RelayStatus {
  readonly address: string;
  readonly state: 'connecting' | 'connected' | 'waiting';
  /** Why there is no connection. */
  readonly error?: string;
}

/** The bounds that the engine sets on what is written. */
export interface Limits {
  /** Bytes of UTF-8 in a key. */
  readonly keyBytes: number;
  /** Writes in a transaction. */
  readonly transactionWrites: number;
  /** Bytes that a tab may say of itself. */
  readonly presenceBytes: number;
}

/** The bytes of a value; `null` where the storage has lost them, or does not have them any more. */
export type Found = Uint8Array | null;

/** What a tab says of itself, by the tab's id. */
export type Presented = readonly [id: string, value: Uint8Array];

/** What a reader saw under a key: opaque bytes, to be handed back when writing. Survives structured clone and storage. */
export type Context = Uint8Array;

/** Changes as columns of one length: a batch crosses in one call and without an object a key. */
export interface Writes {
  readonly keys: readonly string[];
  /** `null` deletes; a number is added to a counter. */
  readonly values: readonly (Uint8Array | number | null)[] | PackedValues;
  /** `undefined`, or no column: supersede what is there when the write is made. */
  readonly contexts?: readonly (Context | undefined)[];
}

/** A range of keys, in order of their code points. */
export interface ScanRequest {
  readonly prefix?: string;
  readonly gte?: string;
  readonly gt?: string;
  readonly lte?: string;
  readonly lt?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
  /** Whether values are wanted as well as keys. */
  readonly values: boolean;
  /** Only keys with concurrent values. */
  readonly conflicts?: boolean;
}

/** Names a write that is asked for again, under the same name, where it may have been carried out and not answered: it is carried out once. */
export interface CarriedCall {
  /** Who asks: a number drawn at random. */
  readonly caller: number;
  /** Which of the caller's it is, from 1. */
  readonly n: number;
}

/** As many keys of a range as cross in one call. All of them are of one moment. */
export interface Page {
  readonly keys: readonly string[];
  /** Empty when not wanted. */
  readonly values: readonly Found[];
  /** After which key the range goes on; `undefined` when this was the last page. */
  readonly next?: string;
}

export interface EncodedSibling {
  readonly value: Found;
  readonly replica: string;
  readonly time: number;
}

/** Every request, with its reply. */
export interface Calls {
  /** Comes first, once. Fails when an option is wrong or the engine cannot be loaded. */
  open: {
    request: {
      name: string;
      /** What makes a member, and what the store is called among members then: of one that is not here yet, or must be this one. */
      secret?: Uint8Array | undefined;
      store?: string | undefined;
      /** `undefined`: those that it was opened with last. */
      relays?: readonly string[] | undefined;
      ice: readonly CheckedIceServer[];
      storage: 'memory' | 'indexeddb';
      /** How much of the values is in memory, where they are stored as well. */
      cache?: CacheOptions;
      /** Whether the store is taken from a tab that may still have it open; it cannot write any more then. */
      takesOver?: boolean;
      /** Where the opening ended that was closed for this one: what its `close` was replied to with. */
      goesOnFrom?: string | undefined;
      /** Why it is in memory where that was not asked for. */
      problem?: string | undefined;
    };
    /** `store`: what it is called among its members. */
    reply: { store: string; limits: Limits; status: Status; size: number; presences: readonly Presented[] };
  };
  /** One transaction; replied to when durable. Reads that are asked for later see it, even before the reply. */
  transact: { request: Writes & { readonly carried?: CarriedCall | undefined }; reply: undefined };
  /** Deletes every key; as `transact`. */
  clear: { request: { readonly carried?: CarriedCall | undefined }; reply: undefined };
  get: { request: { keys: readonly string[] }; reply: readonly (Found | undefined)[] };
  has: { request: { key: string }; reply: boolean };
  /** The winner first. */
  siblings: { request: { key: string }; reply: { values: readonly EncodedSibling[]; context: Context } };
  scan: { request: ScanRequest; reply: Page };
  /** An invitation, which expires at a time in seconds since 1970, if at all. */
  invite: { request: { expires?: number | undefined }; reply: string };
  /** All that the store holds, as the bytes of a file. */
  export: { request: object; reply: Uint8Array<ArrayBuffer> };
  /** Takes in what a file holds, as if a peer had brought it. Replied to when it is durable. */
  import: { request: { file: Uint8Array }; reply: undefined };
  /** What this tab says of itself from now on; `undefined`: nothing, as one that is not there. */
  present: { request: { id: string; value: Uint8Array | undefined }; reply: undefined };
  /** Under which prefixes `changed` events carry values from now on; replaces what was asked for before. */
  watch: { request: { prefixes: readonly string[] }; reply: undefined };
  /** Comes last. Everything that waits is replied to first. Replied to with where the next opening goes on, which may be one alone. */
  close: { request: object; reply: string | undefined };
}

export type Call = keyof Calls;
export type Request = { [C in Call]: { readonly call: C } & Calls[C]['request'] }[Call];
export type Reply<R extends Request> = Calls[R['call']]['reply'];

/** Why a request was not carried out: what `call` rejects with. Plain, since an `Error` loses its code in structured clone. */
export interface Failure {
  /** `StorageRefused`: the store cannot be kept here, so it is kept in memory; nobody is told of it by this. */
  readonly code: ErrorCode | 'StorageRefused';
  readonly message: string;
  readonly cause?: unknown;
}

/** How some keys read now and read before: what one transaction or session changed comes together. Columns of one length. */
export interface ChangedEvent {
  readonly event: 'changed';
  /** Only those under a watched prefix. */
  readonly keys: readonly string[];
  readonly values: readonly (Found | undefined)[];
  readonly previous: readonly (Found | undefined)[];
  readonly origins: readonly ('local' | 'remote')[];
  /** All changed keys that hold concurrent values now, watched or not. */
  readonly conflicts: readonly string[];
  /** How many keys there are now. */
  readonly size: number;
}

/** Who is present, this tab too, and of those what reads differently than before. */
export interface PresenceEvent {
  readonly event: 'presence';
  /** What the engine is called as the home of its tabs, if there is one. */
  readonly home?: string | undefined;
  readonly present: readonly string[];
  readonly changed: readonly Presented[];
}

export type HostEvent =
  | ChangedEvent
  | { readonly event: 'size'; readonly size: number }
  | { readonly event: 'status'; readonly status: Status }
  | PresenceEvent
  /** A first sync or a catch-up moved on. */
  | { readonly event: 'progress'; readonly peer: string; readonly done: number; readonly expected: number }
  /** Something went wrong that no call waits for. */
  | { readonly event: 'error'; readonly failure: Failure };

export interface EngineHost {
  /** Requests are carried out in the order in which they are made. Rejects with a `Failure`. */
  call<R extends Request>(request: R): Promise<Reply<R>>;
  /** Calls `listener` with each event, in order, until the returned function is called. Listeners must not throw. */
  subscribe(listener: (event: HostEvent) => void): () => void;
}
