/** The engine in this thread, behind the message interface. */
import { type Bindings, loadEngine, onDefect } from './engine.js';
import { asFailure } from './failure.js';
import type { Engine, EngineEvent } from './gossipstore.js';
import type { Calls, EngineHost, Failure, Found, HostEvent, Limits, Reply, Request, Status } from './host.js';
import { keep, keepsakeOf } from './keepsake.js';
import { leftStatus } from './left-status.js';
import { keepPresent } from './presence.js';
import { Room } from './room.js';

/**
 * The status is told at once when it changes, then at most this often: during a sync it changes with every message, and a
 * person cannot read faster.
 */
const STATUS_INTERVAL_MS = 100;

/** How many keys are read one by one while the store is still being loaded: for more, all is there as soon. */
const EARLY_KEYS_MAX = 16;

/** Pages and workers tell when the network is back; elsewhere nobody does. */
const surroundings: Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>> = globalThis;

export class LocalHost implements EngineHost {
  readonly #load: () => Promise<Bindings>;
  readonly #listeners = new Set<(event: HostEvent) => void>();
  /** How to fail what waits, should the engine stop without an answer. */
  readonly #waiting = new Set<(failure: Failure) => void>();
  #engine: Engine | undefined;
  /** What is to be carried out when the store is loaded, in its order; `undefined` when it is. */
  #queue: (() => void)[] | undefined;
  /** What comes before that. */
  readonly #preparations: (() => void)[] = [];
  /** Why there is no engine. */
  #gone: Failure = { code: 'Closed', message: 'the store is not open; open it first' };
  #forgetDefects: () => void = () => {};
  /** Gives up an opening that is under way. */
  readonly #superseding = new AbortController();
  #size = 0;
  #store = '';
  #limits: Limits | undefined;
  #room: Room | undefined;
  /** Who is present, and up to which of the engine's changes. */
  readonly #presences = new Map<string, Uint8Array>();
  #presenceChanges = 0;
  /** Why the store is in memory, where it was not asked for. */
  #problem: string | undefined;
  /** What became of what was stored before, if it is gone. */
  #lost: string | undefined;
  /** Set while a status was told a short time ago. */
  #statusPause: ReturnType<typeof setTimeout> | undefined;
  #statusChanged = false;
  /** The last that was told, from which the one after the end is made. */
  #status: Status | undefined;

  /** @param load how to get the engine; tests hand in one that fails. */
  constructor(load: () => Promise<Bindings> = loadEngine) {
    this.#load = load;
  }

  call<R extends Request>(request: R): Promise<Reply<R>> {
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.add(reject);
      const fail = (error: unknown) => {
        this.#waiting.delete(reject);
        reject(asFailure(error));
      };
      const succeed = (reply: unknown) => {
        this.#waiting.delete(reject);
        resolve(reply);
      };
      const carryOut = () => {
        try {
          const reply = this.#carryOut(request);
          if (reply instanceof Promise) reply.then(succeed, fail);
          else succeed(reply);
        } catch (error) {
          fail(error);
        }
      };
      if (this.#queue && !isEarly(request, this.#queue.length)) this.#queue.push(carryOut);
      else carryOut();
    }) as Promise<Reply<R>>;
  }

  subscribe(listener: (event: HostEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Has handed the request to the engine when it returns: that is what keeps requests in order. */
  #carryOut(request: Request): unknown {
    if (request.call === 'open') return this.#open(request);
    const engine = this.#engine;
    if (!engine) throw this.#gone;
    switch (request.call) {
      case 'transact':
        return this.#write(transact(engine, request));
      case 'clear':
        return this.#write(engine.clear(request.carried?.caller, request.carried?.n));
      case 'get': {
        if (this.#queue) return this.#early(engine, request.keys, (values) => values);
        const [key] = request.keys;
        return request.keys.length === 1 && key !== undefined ? inArray(engine.get(key)) : engine.getMany(request.keys);
      }
      case 'has':
        if (this.#queue) return this.#early(engine, [request.key], ([value]) => value !== undefined);
        return engine.has(request.key);
      case 'siblings':
        return engine.siblings(request.key);
      case 'scan':
        return engine.scan(request);
      case 'export':
        return engine.exportFile();
      case 'import':
        return this.#write(engine.importFile(request.file));
      case 'watch':
        return engine.watch(request.prefixes);
      case 'present':
        engine.present(request.id, request.value);
        // At once, since this may be the last that it says.
        return this.#tellPresence();
      case 'invite':
        return engine.invite(request.expires);
      case 'close':
        return this.#close(engine);
    }
  }

  async #open(request: Calls['open']['request']): Promise<Calls['open']['reply']> {
    const { Engine, limits } = await this.#load();
    const hear = (event: EngineEvent) => this.#hear(event);
    const isKept = request.storage === 'indexeddb';
    // Also where it cannot be kept and should be.
    const keepsake = isKept || request.problem !== undefined ? keepsakeOf(request.name) : undefined;
    const options = { ...request, keepsake };
    const engine = isKept
      ? await Engine.openStored(options, request.takesOver ?? false, this.#superseding.signal, hear)
      : Engine.open(options, hear);
    if (this.#superseding.signal.aborted) {
      endSuperseded(engine);
      throw superseded;
    }
    this.#engine = engine;
    surroundings.addEventListener?.('online', this.#online);
    this.#size = engine.size;
    this.#store = engine.store;
    this.#forgetDefects = onDefect((failure) => this.#fail(failure));
    this.#limits = limits();
    this.#problem = request.problem;
    this.#lost = engine.lost;
    if (isKept) this.#room = new Room(() => this.#tellStatus());
    if (engine.loaded) {
      this.#queue = [];
      engine.loaded.then(
        () => this.#carryOutQueued(),
        (error) => this.#fail(asFailure(error)),
      );
    }
    if (isKept) this.#onceLoaded(() => this.#keepMembership(request.name));
    return this.opened();
  }

  /** Reads keys of a store that is still being loaded. */
  async #early<T>(
    engine: Engine,
    keys: readonly string[],
    read: (values: readonly (Found | undefined)[]) => T,
  ): Promise<T> {
    try {
      return read(await Promise.all(keys.map((key) => engine.glimpse(key))));
    } catch {
      // It may have been loaded and written to meanwhile. If what is stored is damaged, loading it fails.
      await this.#loaded();
      if (!this.#engine) throw this.#gone;
      return read(await this.#engine.getMany(keys));
    }
  }

  /** Does something when the store is loaded, before all calls that wait for that. */
  #onceLoaded(then: () => void): void {
    if (this.#queue) this.#preparations.push(then);
    else then();
  }

  #keepMembership(name: string): void {
    try {
      const invitation = this.#engine?.invite(undefined);
      if (invitation !== undefined) keep(name, invitation);
    } catch {
      // The name is too long for an invitation, or the engine is gone.
    }
  }

  /** Resolves when all is loaded, or never will be. */
  #loaded(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#queue) this.#queue.push(resolve);
      else resolve();
    });
  }

  /** All is loaded, or never will be. */
  #carryOutQueued(): void {
    const queue = this.#queue;
    this.#queue = undefined;
    for (const prepare of this.#preparations.splice(0)) prepare();
    for (const carryOut of queue ?? []) carryOut();
  }

  /** What there is to know of the store that was opened. */
  opened(): Calls['open']['reply'] {
    if (!this.#engine || !this.#limits) throw this.#gone;
    this.#status = this.#readStatus(this.#engine);
    const presences = [...this.#presences];
    return { store: this.#store, limits: this.#limits, status: this.#status, size: this.#size, presences };
  }

  /**
   * Who was present a moment ago, by what another tab of this browser has told: they count until they say so themselves. `former`: the home
   * of the tab that led before.
   */
  recall(presences: ReadonlyMap<string, Uint8Array>, former: string | undefined): void {
    const [ids, values] = [[...presences.keys()], [...presences.values()]];
    for (const [id, value] of presences) this.#presences.set(id, value);
    this.#onceLoaded(() => this.#engine?.recall(ids, values, former));
  }

  /** Another tab has the store: nothing leaves this one any more, and what waits fails with `Superseded`. */
  supersede(): void {
    this.#superseding.abort();
    const engine = this.#engine;
    if (!engine) return;
    this.#leave(superseded);
    this.#forgetDefects();
    endSuperseded(engine);
  }

  /** A write's own event may still be on its way when it is done; whoever was told that it is can count on the size. */
  async #write(done: Promise<undefined>): Promise<undefined> {
    this.#room?.written();
    await done;
    const size = this.#engine?.size ?? this.#size;
    if (size !== this.#size) {
      this.#size = size;
      this.#emit({ event: 'size', size });
    }
  }

  readonly #online = (): void => this.#engine?.networkChanged();

  async #close(engine: Engine): Promise<string | undefined> {
    this.#leave({ code: 'Closed', message: 'the store is closed; open it again' });
    await engine.close();
    this.#tellLeft('the store is closed');
    this.#forgetDefects();
    const last = engine.lastEvent();
    engine.free();
    return last;
  }

  #hear(event: EngineEvent): void {
    if (event.event === 'statusChanged') {
      this.#tellStatus();
      return;
    }
    if (event.event === 'presenceChanged') {
      this.#tellPresence();
      return;
    }
    if (event.event === 'changed') this.#size = event.size;
    this.#emit(event);
    // How much is stored is part of the status.
    if (event.event === 'changed') this.#tellStatus();
  }

  #tellStatus(): void {
    this.#statusChanged = true;
    if (this.#statusPause !== undefined || !this.#engine) return;
    this.#statusChanged = false;
    this.#status = this.#readStatus(this.#engine);
    this.#emit({ event: 'status', status: this.#status });
    this.#statusPause = setTimeout(() => {
      this.#statusPause = undefined;
      if (this.#statusChanged) this.#tellStatus();
    }, STATUS_INTERVAL_MS);
  }

  #tellPresence(): void {
    if (!this.#engine) return;
    const { home, changes, present, changed } = this.#engine.presences(this.#presenceChanges);
    if (changes === this.#presenceChanges) return;
    this.#presenceChanges = changes;
    keepPresent(this.#presences, present, changed);
    this.#emit({ event: 'presence', home, present, changed });
  }

  #readStatus(engine: Engine): Status {
    const status = engine.status();
    const problem = status.storage.problem ?? this.#problem;
    const said = { ...(problem && { problem }), ...(this.#lost && { lost: this.#lost }) };
    return { ...status, storage: { ...status.storage, ...this.#room?.status(), ...said } };
  }

  /** There is no engine from now on. */
  #leave(gone: Failure): void {
    surroundings.removeEventListener?.('online', this.#online);
    this.#gone = gone;
    this.#engine = undefined;
    clearTimeout(this.#statusPause);
    this.#carryOutQueued();
  }

  /** The last status, once: an engine that is gone cannot say that it is offline. */
  #tellLeft(why: string): void {
    const last = this.#status;
    this.#status = undefined;
    if (last) this.#emit({ event: 'status', status: leftStatus(last, why) });
  }

  #emit(event: HostEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #fail(failure: Failure): void {
    this.#leave(failure);
    for (const reject of this.#waiting) reject(failure);
    this.#waiting.clear();
    const isDefect = failure.code === 'Internal';
    this.#tellLeft(isDefect ? 'the engine stopped because of a defect; reload the page' : failure.message);
    this.#emit({ event: 'presence', present: [], changed: [] });
    this.#emit({ event: 'error', failure });
  }
}

const superseded: Failure = { code: 'Superseded', message: 'another tab has taken the store over' };

function endSuperseded(engine: Engine): void {
  engine.supersede();
  engine.free();
}

function transact(
  engine: Engine,
  { keys, values, contexts, carried }: Calls['transact']['request'],
): Promise<undefined> {
  if ('bytes' in values) {
    return engine.transactPacked(keys, values.bytes, values.lengths, carried?.caller, carried?.n);
  }
  return engine.transact(keys, values, contexts, carried?.caller, carried?.n);
}

/** One value as the array of one, at once where it is there. */
function inArray<T>(value: T | Promise<T>): T[] | Promise<T[]> {
  return value instanceof Promise ? value.then((value) => [value]) : [value];
}

/** Whether a request can be carried out before the store is loaded, with so many others waiting for that. */
function isEarly(request: Request, waiting: number): boolean {
  switch (request.call) {
    case 'watch':
      return true;
    case 'has':
      return waiting === 0;
    case 'get':
      return waiting === 0 && request.keys.length <= EARLY_KEYS_MAX;
    default:
      return false;
  }
}
