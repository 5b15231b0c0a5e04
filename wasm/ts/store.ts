/**
 * The store as a web developer sees it: typed values over the engine's bytes, iterators over its pages, events over its
 * messages. Everything that decides something about data or network is in the engine.
 */
import { type BatchOptions, type ToWrite, writeBatch } from './batch.js';
import { type Change, ChangeStream, type LiveStream } from './changes.js';
import {
  checkEntry,
  checkFile,
  checkFunction,
  checkIterable,
  checkKey,
  checkOptions,
  checkSignal,
  checkText,
} from './check.js';
import { Counter } from './counter.js';
import { loadEngine } from './engine.js';
import { GossipStoreError } from './errors.js';
import { ConflictEvent, StatusEvent, StoreErrorEvent, type StoreEventMap, SyncProgressEvent } from './events.js';
import { toError } from './failure.js';
import type {
  Calls,
  Context,
  EngineHost,
  Failure,
  Found,
  HostEvent,
  Limits,
  Reply,
  Request,
  Status,
  Writes,
} from './host.js';
import {
  checkExpiry,
  checkInvitation,
  checkJoin,
  type Invitation,
  type InviteOptions,
  type JoinOptions,
  readInvitation,
} from './invitation.js';
import { LocalHost } from './local-host.js';
import { claim } from './open-stores.js';
import { type CheckedOptions, checkOpen, type OpenOptions } from './options.js';
import { fromBytes, toBytes, toSink } from './payload.js';
import { Presence } from './presence.js';
import { type CheckedRange, checkRange, type Range, readRange } from './range.js';
import { SharedHost } from './shared-host.js';
import { Transaction } from './transaction.js';

/** One of the concurrent values of a key. */
export interface Sibling<V = unknown> {
  readonly value: V;
  /** Which writing open of a replica wrote it. */
  readonly replica: string;
  /** When, in milliseconds since 1970 by the writer's clock. For display; it decides nothing. */
  readonly time: number;
}

/** What a key holds. */
export interface Siblings<V = unknown> {
  /** The winner, which `get` gives, first; more than one is a conflict. */
  readonly values: readonly Sibling<V>[];
  /** Stands for exactly these values; writing with it supersedes them and nothing else. */
  readonly context: Context;
}

export interface WriteOptions {
  /** From `getSiblings`: supersede what was seen then. Without it: what is here when the write is made. */
  context?: Context | undefined;
}

export interface ChangesOptions {
  /** Only keys that begin with this. */
  prefix?: string | undefined;
  /** Ends the iteration by throwing its reason. */
  signal?: AbortSignal | undefined;
}

type Listener<E> = ((event: E) => void) | { handleEvent(event: E): void };

/**
 * A replicated store of values under keys. Every call works without a network; what was written meets the other replicas when
 * there is one.
 *
 * Calls take effect in the order in which they are made: a read that is asked for after a write sees it, awaited or not.
 */
export class GossipStore<V = unknown, P = unknown> extends EventTarget {
  readonly #host: EngineHost;
  readonly #limits: Limits;
  /** Lets another opening in this page have the name. */
  readonly #release: () => void;
  readonly #streams = new Set<LiveStream>();
  /** What the host was asked to watch. */
  #watched: readonly string[] = [];
  #status: Status;
  #size: number;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** Who has the store open at present, and what each says of itself. */
  readonly presence: Presence<P>;

  /** What the store is called in this browser. */
  readonly name: string;

  /** What the store is called among its members, in hexadecimal: the same on all their devices, whatever its name is there. */
  readonly id: string;

  private constructor(name: string, host: EngineHost, opened: Calls['open']['reply'], release: () => void) {
    super();
    this.name = name;
    this.id = opened.store;
    this.#host = host;
    this.#limits = opened.limits;
    this.#status = opened.status;
    this.#size = opened.size;
    this.#release = release;
    this.presence = new Presence(host, opened);
    host.subscribe((event) => this.#hear(event));
    const { lost } = opened.status.storage;
    if (lost !== undefined) {
      const error = new GossipStoreError('StorageLost', `what was stored of the store is gone: ${lost}`);
      // When whoever opens it has had time to listen.
      setTimeout(() => this.dispatchEvent(new StoreErrorEvent(error)));
    }
  }

  /**
   * Opens the store of this name in this browser, or makes one, which others become members of by `invite` and `join`. The first call in a
   * page fetches and starts the engine.
   */
  static async open<V = unknown, P = unknown>(name: string, options?: OpenOptions): Promise<GossipStore<V, P>> {
    return GossipStore.#open(checkOpen(name, options));
  }

  /**
   * Opens the store that an invitation leads to, which `invite` has made, and remembers it: from then on `open` with its name does, too.
   * Following an invitation again does no harm.
   */
  static async join<V = unknown, P = unknown>(invitation: string, options?: JoinOptions): Promise<GossipStore<V, P>> {
    const { name, ...others } = checkJoin(options);
    const invited = await readInvitation(checkInvitation('join', invitation));
    const relays = others.relays ?? invited.relays;
    return GossipStore.#open(checkOpen(name ?? invited.name, { ...others, relays, secret: invited.secret }));
  }

  /** What an invitation says, for a page that asks before it joins. Rejects with what is wrong with it. */
  static async readInvitation(invitation: string): Promise<Invitation> {
    const { name, relays, expires } = await readInvitation(checkInvitation('readInvitation', invitation));
    return { name, relays, ...(expires !== undefined && { expires: new Date(expires * 1_000) }) };
  }

  static async #open<V, P>(checked: CheckedOptions): Promise<GossipStore<V, P>> {
    const release = claim(checked.name);
    try {
      const { host, request } = await hostFor(checked);
      const opened = await ask(host, request);
      return new GossipStore<V, P>(checked.name, host, opened, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Opens a store and takes in what `export` has put into a file, as if a peer had brought it: both are merged, and what was deleted here
   * since stays deleted. Under another name it makes a copy. If the file cannot be read, the store is closed again.
   */
  static async import<V = unknown, P = unknown>(
    name: string,
    file: Blob | ArrayBuffer | Uint8Array,
    options?: OpenOptions,
  ): Promise<GossipStore<V, P>> {
    const bytes = await checkFile('import', file);
    const store = await GossipStore.open<V, P>(name, options);
    try {
      await store.#ask({ call: 'import', file: bytes });
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** How many keys have a value, as of the last change that this tab was told of. */
  get size(): number {
    return this.#size;
  }

  /** Where the data is, who is connected, and why not: a new object after each `status` event, at most some 0.1 s old. */
  get status(): Status {
    return this.#status;
  }

  /**
   * What to send to somebody who is to share the store, for the fragment of a link: 200 characters or a few more. Whoever reads it is a
   * member, who can read, write and invite others.
   */
  async invite(options?: InviteOptions): Promise<string> {
    return this.#ask({ call: 'invite', expires: checkExpiry(options) });
  }

  /** Resolves when the value is durable on this device; peers are told meanwhile. */
  async set(key: string, value: V, options?: WriteOptions): Promise<void> {
    checkKey(key, this.#limits);
    await this.#write('set', key, toBytes(value), options);
  }

  /** The key's value; among concurrent ones the latest by its writer's clock, the same on every replica. */
  async get<T = V>(key: string): Promise<T | undefined> {
    const [bytes] = await this.#ask({ call: 'get', keys: [checkKey(key, this.#limits)] });
    return fromBytes<T>(bytes);
  }

  async has(key: string): Promise<boolean> {
    return this.#ask({ call: 'has', key: checkKey(key, this.#limits) });
  }

  /** Removes the key. Deleting what is not there is no error. */
  async delete(key: string, options?: WriteOptions): Promise<void> {
    checkKey(key, this.#limits);
    await this.#write('delete', key, null, options);
  }

  /** The counter under a key; whoever counts there counts together. Nothing is written until it is counted. */
  counter(key: string): Counter {
    const keys = [checkKey(key, this.#limits)];
    return new Counter(key, {
      add: (amount) => this.#ask({ call: 'transact', keys, values: [amount] }),
      read: async () => (await this.#ask({ call: 'get', keys }))[0],
    });
  }

  /** Removes every key that this replica holds. What a peer writes meanwhile stays. */
  async clear(): Promise<void> {
    await this.#ask({ call: 'clear' });
  }

  /**
   * Writes many entries in as few transactions as reach the peers at once. All keys and values are checked first: if one
   * cannot be stored, none is. The batch as a whole is not atomic (see `transaction` for that), and a long one lets calls that
   * are made meanwhile come between.
   */
  async setMany(entries: Iterable<readonly [key: string, value: V]>, options?: BatchOptions): Promise<void> {
    checkIterable('setMany', 'entries, each an array of a key and a value', entries);
    await this.#writeMany('setMany', entries, options, (entry, at, values) => {
      const [key, value] = checkEntry('setMany', entry, at);
      const checked = checkKey(key, this.#limits);
      toSink(value, values);
      return checked;
    });
  }

  /** Removes many keys, as `setMany` writes them. */
  async deleteMany(keys: Iterable<string>, options?: BatchOptions): Promise<void> {
    checkIterable('deleteMany', 'keys', keys);
    await this.#writeMany('deleteMany', keys, options, (key, _, values) => {
      values.delete();
      return checkKey(key, this.#limits);
    });
  }

  /** The values of these keys, in their order and of one moment. */
  async getMany<T = V>(keys: Iterable<string>): Promise<(T | undefined)[]> {
    const checked = Array.from(checkIterable('getMany', 'keys', keys), (key) => checkKey(key, this.#limits));
    const values = await this.#ask({ call: 'get', keys: checked });
    return values.map((bytes) => fromBytes<T>(bytes));
  }

  /** All concurrent values of a key. Without any the list is empty, and the context is still good for writing. */
  async getSiblings<T = V>(key: string): Promise<Siblings<T>> {
    checkKey(key, this.#limits);
    const { values, context } = await this.#ask({ call: 'siblings', key });
    return { values: values.map((sibling) => ({ ...sibling, value: fromBytes<T>(sibling.value) })), context };
  }

  /**
   * Makes the callback's writes one transaction: visible whole or not at all, on every replica. If the callback throws or
   * rejects, nothing is written. Resolves with what the callback returned, when its writes are durable.
   */
  async transaction<T>(work: (tx: Transaction<V>) => T | PromiseLike<T>): Promise<T> {
    checkFunction('transaction', 'work', work);
    const tx = new Transaction<V>(this.#limits, (key) => this.#ask({ call: 'siblings', key }));
    let result: T;
    try {
      const pending = work(tx);
      // A callback that did not wait is committed without waiting, so that a read that follows sees it.
      result = isPromiseLike(pending) ? await pending : pending;
    } catch (error) {
      tx.end();
      throw error;
    }
    const writes = tx.end();
    if (writes.keys.length > 0) await this.#ask({ call: 'transact', ...writes });
    return result;
  }

  /** All that this replica holds, conflicts and all, as one file for `GossipStore.import`: a backup, or a copy for another device. */
  async export(): Promise<Blob> {
    return new Blob([await this.#ask({ call: 'export' })], { type: 'application/octet-stream' });
  }

  /** The entries of a range in key order. */
  entries<T = V>(range?: Range): AsyncGenerator<[key: string, value: T], undefined, undefined> {
    return this.#read(checkRange('entries', range), true, (key, bytes) => [key, fromBytes<T>(bytes as Found)]);
  }

  /** The keys of a range in order. */
  keys(range?: Range): AsyncGenerator<string, undefined, undefined> {
    return this.#read(checkRange('keys', range), false, (key) => key);
  }

  /** The values of a range in key order. */
  values<T = V>(range?: Range): AsyncGenerator<T, undefined, undefined> {
    return this.#read(checkRange('values', range), true, (_, bytes) => fromBytes<T>(bytes as Found));
  }

  /** The keys of a range that hold more than one value. */
  conflicts(range?: Range): AsyncGenerator<string, undefined, undefined> {
    return this.#read(checkRange('conflicts', range), false, (key) => key, true);
  }

  [Symbol.asyncIterator](): AsyncGenerator<[key: string, value: V], undefined, undefined> {
    return this.entries();
  }

  /**
   * The changes from this call on, by this tab and by peers, until the loop is left, the signal aborts or the store is
   * closed. A consumer that is slower than the changes gets the newest value of each key, not every step.
   */
  changes<T = V>(options?: ChangesOptions): AsyncIterableIterator<Change<T>, undefined, undefined> {
    const { prefix, signal } = checkOptions('changes', options, ['prefix', 'signal']);
    const checkedPrefix = checkText('changes', 'prefix', prefix) ?? '';
    if (this.#isClosed) throw new GossipStoreError('Closed', 'the store is closed; open it again');
    const stream = new ChangeStream<T>(checkedPrefix, checkSignal('changes', signal), (left) => {
      this.#streams.delete(left);
      this.#watch();
    });
    if (!stream.ended) {
      this.#streams.add(stream);
      this.#watch();
    }
    return stream;
  }

  /** Leaves the network and gives up what the store held in memory. Calling it again does no harm. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // Where a browser has no Symbol.asyncDispose yet, this is a method that nobody calls.
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  override addEventListener<K extends keyof StoreEventMap>(
    type: K,
    listener: Listener<StoreEventMap[K]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: Listener<Event> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    // biome-ignore lint/suspicious/noExplicitAny: the overloads above say what each type's listener gets
    listener: Listener<any> | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
  }

  override removeEventListener<K extends keyof StoreEventMap>(
    type: K,
    listener: Listener<StoreEventMap[K]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: Listener<Event> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    // biome-ignore lint/suspicious/noExplicitAny: as in addEventListener
    listener: Listener<any> | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener, options);
  }

  #ask<R extends Request>(request: R): Promise<Reply<R>> {
    return ask(this.#host, request);
  }

  async #write(of: string, key: string, value: Uint8Array | null, options: WriteOptions | undefined): Promise<void> {
    const { context } = checkOptions(of, options, ['context']);
    if (context !== undefined && !(context instanceof Uint8Array)) {
      throw new GossipStoreError(
        'InvalidContext',
        `${of}: the context is not one that getSiblings returned; pass it on unchanged`,
      );
    }
    const contexts = context ? { contexts: [context] } : {};
    await this.#ask({ call: 'transact', keys: [key], values: [value], ...contexts });
  }

  async #writeMany<T>(
    of: string,
    items: Iterable<T>,
    options: BatchOptions | undefined,
    toWrite: ToWrite<T>,
  ): Promise<void> {
    const { signal, onProgress } = checkOptions(of, options, ['signal', 'onProgress']);
    checkSignal(of, signal);
    if (onProgress !== undefined) checkFunction(of, 'onProgress', onProgress);
    const transact = (writes: Writes) => this.#ask({ call: 'transact', ...writes });
    await writeBatch(items, toWrite, this.#limits, transact, { signal, onProgress });
  }

  #read<T>(
    range: CheckedRange,
    values: boolean,
    item: (key: string, bytes: Found | undefined) => T,
    conflicts = false,
  ): AsyncGenerator<T, undefined, undefined> {
    return readRange(
      range,
      { values, conflicts },
      (request) => this.#ask(request),
      ({ keys, values }, at) => item(keys[at] as string, values[at]),
    );
  }

  /** Asks for the values of changes that somebody looks at, and of no others. */
  #watch(): void {
    if (this.#isClosed) return;
    const prefixes = new Set<string>();
    for (const stream of this.#streams) prefixes.add(stream.prefix);
    const wanted = prefixes.has('') ? [''] : [...prefixes].sort();
    if (wanted.length === this.#watched.length && wanted.every((prefix, at) => prefix === this.#watched[at])) return;
    this.#watched = wanted;
    // Fails only when the engine is gone, and then the streams are told of it.
    this.#ask({ call: 'watch', prefixes: wanted }).catch(() => {});
  }

  #hear(event: HostEvent): void {
    switch (event.event) {
      case 'changed':
        this.#size = event.size;
        for (const stream of this.#streams) stream.push(event);
        for (const key of event.conflicts) this.dispatchEvent(new ConflictEvent(key));
        break;
      case 'size':
        this.#size = event.size;
        break;
      case 'status':
        this.#status = event.status;
        this.dispatchEvent(new StatusEvent(event.status));
        break;
      case 'progress':
        this.dispatchEvent(new SyncProgressEvent(event.peer, event.done, event.expected));
        break;
      case 'error': {
        const error = toError(event.failure);
        // The engine has stopped: no change will come any more.
        if (error.code === 'Internal') for (const stream of [...this.#streams]) stream.fail(error);
        this.dispatchEvent(new StoreErrorEvent(error));
        break;
      }
    }
  }

  async #close(): Promise<void> {
    for (const stream of [...this.#streams]) stream.end();
    // Others need not find out by waiting. It fails as closing does.
    this.#ask({ call: 'present', id: this.presence.id, value: undefined }).catch(() => {});
    try {
      await this.#ask({ call: 'close' });
    } catch (error) {
      // An engine that has stopped has nothing left to close.
      if (!(error instanceof GossipStoreError && error.code === 'Internal')) throw error;
    } finally {
      this.#release();
    }
  }
}

/** Who has the store open: one for all tabs, where they can find each other and share what is kept. */
async function hostFor(
  options: CheckedOptions,
): Promise<{ host: EngineHost; request: Extract<Request, { call: 'open' }> }> {
  const { secret } = options;
  const request = { call: 'open' as const, ...options, store: secret && (await loadEngine()).storeOf(secret) };
  if (options.storage === 'memory') return { host: new LocalHost(), request };
  const missing = SharedHost.missing();
  if (missing === undefined) return { host: new SharedHost(), request };
  return { host: new LocalHost(), request: { ...request, storage: 'memory', problem: missing } };
}

/** The host's reply; its failure as an error whose stack leads to the caller. */
async function ask<R extends Request>(host: EngineHost, request: R): Promise<Reply<R>> {
  try {
    return await host.call(request);
  } catch (failure) {
    throw toError(failure as Failure);
  }
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
