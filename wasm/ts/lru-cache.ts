/**
 * A cache that forgets what was used least recently, bounded by entries and by bytes.
 *
 * It stands alone: no wasm, no network, nothing of Node or of a browser, ready when constructed. A `Map` leads from the key
 * to a slot number; keys and values lie in two plain arrays and the order of use in two typed arrays of slot numbers, so an
 * entry costs no object of its own and the garbage collector has nothing to trace but keys and values.
 *
 * The Rust form in `core/src/cache` behaves the same; `core/tests/vectors/lru.json` holds both to it.
 */

import { checkLimits, show } from './lru-limits.js';
import { estimateSize } from './lru-size.js';

/**
 * The byte limit of a cache that was given no limit at all: 64 MiB, in a browser and on a server alike. Bytes, because they
 * are what breaks a tab.
 */
export const DEFAULT_MAX_MEMORY_BYTES = 64 * 1024 * 1024;

/**
 * What an entry takes beside its key and value, in bytes: its place in the `Map` (about 36), in the two arrays (16), in the
 * links and the sizes (16). Counted by default, so that a million tiny entries do not pass as nothing.
 */
export const ENTRY_BYTES = 64;

/** Slots made at first; the arrays double until they reach `maxItems`. */
const FIRST_SLOTS = 16;

/**
 * Why the cache dropped a value by its own decision: there were more than `maxItems`, the entries took more than
 * `maxMemoryBytes`, or the value alone takes more than that and was not kept.
 */
export type EvictionReason = 'max-items' | 'max-memory' | 'too-large';

export interface LRUCacheOptions<K, V> {
  /**
   * How many entries are kept: a whole number from 1 up, or `Infinity` for no limit on entries.
   */
  maxItems?: number;
  /**
   * How many bytes the entries may take together: from 1 up, or `Infinity` for no limit on bytes. When neither limit is given
   * it is {@link DEFAULT_MAX_MEMORY_BYTES}.
   */
  maxMemoryBytes?: number;
  /**
   * The bytes that an entry counts for: exactly what this returns, a whole number from 0 up. Without it, key and value are
   * both estimated (see {@link estimateSize}) and {@link ENTRY_BYTES} is added. The estimate looks at everything that a value
   * refers to, in a cache bounded by `maxItems` alone as well; where values are large and bytes do not matter, `() => 0` spares
   * that time.
   */
  sizeCalculator?: (value: V) => number;
  /**
   * Called for each value that the cache drops by its own decision; not for what you replace, delete or clear. It is called
   * when the cache is within its limits again, oldest first, and may use the cache. When it throws, the rest are still
   * reported, and then `set` throws the first error.
   */
  onEvict?: (value: V, key: K, reason: EvictionReason) => void;
}

/**
 * A map bounded by entries and bytes that forgets what was used least recently.
 *
 * `set` and `get` count as a use; `has`, `peek` and iteration do not. Iteration goes from the newest entry to the oldest.
 *
 * The size of an entry is fixed when it is set: changing an object that is in the cache never corrupts the count.
 */
export class LRUCache<K, V> {
  readonly #slots = new Map<K, number>();
  readonly #keys: (K | undefined)[] = [undefined];
  readonly #values: (V | undefined)[] = [undefined];
  // The order of use is a ring through slot 0, which holds no entry: its older neighbour is the newest entry, its newer
  // neighbour the oldest. So neither end is a special case.
  #newer = new Uint32Array(FIRST_SLOTS);
  #older = new Uint32Array(FIRST_SLOTS);
  /** What each entry counted for when it was set: never measured again, so nothing that happens to a value later matters. */
  #sizes = new Float64Array(FIRST_SLOTS);
  /** The first free slot below `#keys.length`; free slots are threaded through `#older`. 0 when there is none. */
  #free = 0;
  #bytes = 0;
  readonly #maxItems: number;
  readonly #maxBytes: number;
  readonly #sizeCalculator: ((value: V) => number) | undefined;
  readonly #onEvict: ((value: V, key: K, reason: EvictionReason) => void) | undefined;

  /**
   * @throws RangeError when a limit is not a number, below 1, or not whole where only whole makes sense, when both are
   * `Infinity`, or when `sizeCalculator` or `onEvict` is no function.
   */
  constructor(options: LRUCacheOptions<K, V> = {}) {
    const { maxItems, maxMemoryBytes, sizeCalculator, onEvict } = options;
    checkLimits(maxItems, maxMemoryBytes);
    checkFunction('sizeCalculator', sizeCalculator);
    checkFunction('onEvict', onEvict);
    this.#maxItems = maxItems ?? Number.POSITIVE_INFINITY;
    this.#maxBytes =
      maxMemoryBytes === undefined
        ? maxItems === undefined
          ? DEFAULT_MAX_MEMORY_BYTES
          : Number.POSITIVE_INFINITY
        : Math.floor(maxMemoryBytes);
    this.#sizeCalculator = sizeCalculator;
    this.#onEvict = onEvict;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#slots.size;
  }

  /** The limit on entries; `Infinity` when there is none. */
  get maxItems(): number {
    return this.#maxItems;
  }

  /** The limit on bytes; `Infinity` when there is none. */
  get maxMemoryBytes(): number {
    return this.#maxBytes;
  }

  /** The bytes that the entries take together, each as it was when it was set, whether or not bytes are limited. */
  get memoryUsage(): number {
    return this.#bytes;
  }

  /** Whether there is no entry. */
  isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** The value under the key, which counts as a use, or `undefined`. */
  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#touch(slot);
    return this.#values[slot];
  }

  /** The value under the key, or `undefined`. Not a use: the order stays. */
  peek(key: K): V | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values[slot];
  }

  /** Whether there is an entry under the key. Not a use: the order stays. */
  has(key: K): boolean {
    return this.#slots.has(key);
  }

  /**
   * Puts the value under the key, as the newest entry, and evicts the oldest ones, no more than needed, until both limits
   * hold. Updating a key obeys the limits like inserting one.
   *
   * A value that takes more than the whole `maxMemoryBytes` is not kept: `onEvict` gets it as `'too-large'`, every other entry
   * stays, and an older value under the key, now stale, is gone.
   *
   * @throws RangeError when `sizeCalculator` returns something that is not a whole number from 0 up; what it throws itself
   * passes through. In both cases nothing has changed.
   */
  set(key: K, value: V): this {
    // Measured before anything changes: measuring may run code of the caller, which may throw or use this cache.
    const bytes = this.#measure(key, value);
    if (bytes > this.#maxBytes) {
      this.delete(key);
      this.#onEvict?.(value, key, 'too-large');
      return this;
    }
    const slots = this.#slots;
    const slot = slots.get(key);
    if (slot !== undefined) {
      this.#touch(slot);
      this.#values[slot] = value;
      this.#weigh(slot, bytes, undefined);
      return this;
    }
    if (slots.size >= this.#maxItems) return this.#replaceOldest(key, value, bytes);
    const fresh = this.#takeSlot();
    // The only step that can fail (a Map holds about 16.7 million entries), and the first one that shows.
    slots.set(key, fresh);
    this.#keys[fresh] = key;
    this.#values[fresh] = value;
    this.#linkNewest(fresh);
    this.#weigh(fresh, bytes, undefined);
    return this;
  }

  /** Takes the entry under the key out, and says whether there was one. */
  delete(key: K): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#slots.delete(key);
    this.#release(slot);
    return true;
  }

  /** Takes every entry out. */
  clear(): void {
    this.#slots.clear();
    this.#sizes.fill(0);
    this.#keys.length = 1;
    this.#values.length = 1;
    this.#newer[0] = 0;
    this.#older[0] = 0;
    this.#free = 0;
    this.#bytes = 0;
  }

  /**
   * Calls `visit` for each entry, newest first. What is true of iterating is true here: it visits the entries there were when
   * it began, in the order they had then, leaves out those that have gone meanwhile, and gives each its value of now. So the
   * cache may be changed underway. For that it copies the keys when it begins.
   */
  forEach(visit: (value: V, key: K, cache: this) => void, thisArg?: unknown): void {
    for (const key of this.#orderedKeys()) {
      const slot = this.#slots.get(key);
      if (slot !== undefined) visit.call(thisArg, this.#values[slot] as V, key, this);
    }
  }

  /** The entries, newest first; see {@link forEach} for changes underway. */
  *entries(): Generator<[K, V], undefined, undefined> {
    for (const key of this.#orderedKeys()) {
      const slot = this.#slots.get(key);
      if (slot !== undefined) yield [key, this.#values[slot] as V];
    }
  }

  /** The keys, newest first; see {@link forEach} for changes underway. */
  *keys(): Generator<K, undefined, undefined> {
    for (const key of this.#orderedKeys()) {
      if (this.#slots.has(key)) yield key;
    }
  }

  /** The values, newest first; see {@link forEach} for changes underway. */
  *values(): Generator<V, undefined, undefined> {
    for (const key of this.#orderedKeys()) {
      const slot = this.#slots.get(key);
      if (slot !== undefined) yield this.#values[slot] as V;
    }
  }

  /** The same as {@link entries}. */
  [Symbol.iterator](): Generator<[K, V], undefined, undefined> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'LRUCache';
  }

  #orderedKeys(): K[] {
    const keys: K[] = [];
    for (let slot = this.#older[0] as number; slot !== 0; slot = this.#older[slot] as number) {
      keys.push(this.#keys[slot] as K);
    }
    return keys;
  }

  #measure(key: K, value: V): number {
    if (this.#sizeCalculator === undefined) return estimateEntry(key, value, this.#maxBytes);
    const bytes = this.#sizeCalculator(value);
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new RangeError(
        `sizeCalculator must return a whole number from 0 up, for example with Math.ceil, not ${show(bytes)}.`,
      );
    }
    return bytes;
  }

  /**
   * The hot path of a full cache: the new entry takes over the slot of the oldest, which needs neither the list of free slots
   * nor more room in any array.
   */
  #replaceOldest(key: K, value: V, bytes: number): this {
    const slot = this.#newer[0] as number;
    const oldKey = this.#keys[slot] as K;
    const oldValue = this.#values[slot] as V;
    this.#slots.delete(oldKey);
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    this.#values[slot] = value;
    this.#touch(slot);
    const evicted: Evicted<K, V> | undefined =
      this.#onEvict === undefined ? undefined : [{ key: oldKey, value: oldValue, reason: 'max-items' }];
    this.#weigh(slot, bytes, evicted);
    return this;
  }

  /**
   * Gives the newest entry, in `slot`, its size, evicts until the byte limit holds, and reports what was evicted before and by
   * this.
   */
  #weigh(slot: number, bytes: number, before: Evicted<K, V> | undefined): void {
    let total = this.#bytes - (this.#sizes[slot] as number);
    let evicted = before;
    if (bytes > this.#maxBytes - total) {
      this.#sizes[slot] = 0;
      this.#bytes = total;
    }
    // Written as a difference, which is exact where a sum of two large sizes would not be. The newest entry itself counts for
    // nothing yet, and it fits alone, so the loop ends before it comes to it.
    while (bytes > this.#maxBytes - total) {
      const oldest = this.#newer[0] as number;
      const key = this.#keys[oldest] as K;
      if (this.#onEvict !== undefined) {
        evicted ??= [];
        evicted.push({ key, value: this.#values[oldest] as V, reason: 'max-memory' });
      }
      this.#slots.delete(key);
      this.#release(oldest);
      total = this.#bytes;
    }
    this.#sizes[slot] = bytes;
    this.#bytes = total + bytes;
    if (evicted !== undefined) this.#report(evicted);
  }

  /** Called last, when the cache is whole again: the callee may use it, or throw. */
  #report(evicted: Evicted<K, V>): void {
    let failure: { error: unknown } | undefined;
    for (const { value, key, reason } of evicted) {
      try {
        this.#onEvict?.(value, key, reason);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }

  #takeSlot(): number {
    const free = this.#free;
    if (free !== 0) {
      this.#free = this.#older[free] as number;
      return free;
    }
    const slot = this.#keys.length;
    if (slot === this.#older.length) this.#grow();
    this.#keys.push(undefined);
    this.#values.push(undefined);
    return slot;
  }

  #grow(): void {
    const slots = Math.min(this.#older.length * 2, this.#maxItems + 1);
    this.#newer = resized(this.#newer, new Uint32Array(slots));
    this.#older = resized(this.#older, new Uint32Array(slots));
    this.#sizes = resized(this.#sizes, new Float64Array(slots));
  }

  /** Frees a slot whose key is no longer in the map, and lets go of key and value. */
  #release(slot: number): void {
    const newer = this.#newer[slot] as number;
    const older = this.#older[slot] as number;
    this.#older[newer] = older;
    this.#newer[older] = newer;
    this.#bytes -= this.#sizes[slot] as number;
    this.#sizes[slot] = 0;
    this.#keys[slot] = undefined;
    this.#values[slot] = undefined;
    this.#older[slot] = this.#free;
    this.#free = slot;
  }

  #touch(slot: number): void {
    const newest = this.#older[0] as number;
    if (newest === slot) return;
    const newer = this.#newer[slot] as number;
    const older = this.#older[slot] as number;
    this.#older[newer] = older;
    this.#newer[older] = newer;
    this.#linkNewest(slot);
  }

  #linkNewest(slot: number): void {
    const second = this.#older[0] as number;
    this.#older[slot] = second;
    this.#newer[slot] = 0;
    this.#newer[second] = slot;
    this.#older[0] = slot;
  }
}

type Evicted<K, V> = { key: K; value: V; reason: EvictionReason }[];

function estimateEntry(key: unknown, value: unknown, enough: number): number {
  return ENTRY_BYTES + estimateSize(key, enough) + estimateSize(value, enough);
}

function resized<A extends Uint32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

function checkFunction(name: string, given: unknown): void {
  if (given !== undefined && typeof given !== 'function') {
    throw new RangeError(`${name} must be a function, not ${show(given)}.`);
  }
}
