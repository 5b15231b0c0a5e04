/**
 * How many bytes a value takes in memory, by estimate.
 *
 * No engine tells, so this counts by fixed rules that are the same everywhere (nothing of Node's `process` or `Buffer`, no
 * engine's own heap figures). The rules err upwards: a cache that holds somewhat less than it may is better than a tab that
 * is killed. In bytes:
 *
 * | value | counts |
 * |---|---|
 * | number, boolean, `null`, `undefined`, symbol | 8 |
 * | string | 16, and 2 a UTF-16 unit (engines use 1 for Latin text) |
 * | bigint | 16, and 1 for each 8 bits |
 * | array | 16, and 8 an element, and what the elements refer to |
 * | `Map`, `Set` | 32, and 32 or 24 an entry, and what keys and values refer to |
 * | `ArrayBuffer`, typed array, `DataView` | 64, and its bytes |
 * | `Blob`, `File` | 64, and its bytes |
 * | `Date` | 32 |
 * | function | 64; what it closes over cannot be seen |
 * | any other object | 16, and for each own enumerable property 8, 2 a unit of its name, and what its value refers to |
 *
 * What is referred to twice within one value counts once, so cycles end. A getter on the way is called, as
 * `JSON.stringify` would.
 */

const WORD = 8;
const STRING_HEAD = 16;
const UTF16_UNIT = 2;
const BIGINT_HEAD = 16;
const OBJECT_HEAD = 16;
const COLLECTION_HEAD = 32;
const MAP_ENTRY = 32;
const SET_ENTRY = 24;
const BUFFER_HEAD = 64;
const DATE = 32;
const FUNCTION = 64;

const hasOwn = Object.prototype.hasOwnProperty;

/**
 * The bytes that `value` takes in memory, by the rules above. Past `enough` it stops counting: what is returned then is more
 * than `enough`, and less than all.
 */
export function estimateSize(value: unknown, enough = Number.POSITIVE_INFINITY): number {
  if (typeof value !== 'object' || value === null) return estimatePrimitive(value);
  return isPlain(value) ? estimatePlain(value, enough) : new Walk(value, enough).measure();
}

function isPlain(value: object): value is Record<string, unknown> {
  // biome-ignore lint/suspicious/noProto: engines answer it from the object's shape; getPrototypeOf costs as much as the rest
  return (value as { __proto__?: unknown }).__proto__ === Object.prototype;
}

/**
 * The usual value, a plain object whose properties are all primitive, without a {@link Walk}: caches measure at every `set`.
 * What its properties refer to is left to a walk that begins where this ends, so that no getter is called twice.
 */
function estimatePlain(value: Record<string, unknown>, enough: number): number {
  let bytes = OBJECT_HEAD;
  let walk: Walk | undefined;
  // Twice as fast as `Object.keys` or `Object.hasOwn`: engines know this form, and ask nothing of an object of a known shape.
  for (const name in value) {
    if (!hasOwn.call(value, name)) continue;
    const item = value[name];
    bytes += WORD + UTF16_UNIT * name.length;
    if (typeof item === 'object') {
      if (item === null) continue;
      walk ??= new Walk(value, enough);
      walk.refer(item);
    } else if (typeof item !== 'number') {
      bytes += referredBytes(item);
    }
  }
  return walk === undefined ? bytes : walk.measure(bytes);
}

/** What a primitive takes beside the word of the reference to it. */
function referredBytes(value: unknown): number {
  return typeof value === 'string' || typeof value === 'bigint' || typeof value === 'function'
    ? estimatePrimitive(value)
    : 0;
}

function estimatePrimitive(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return STRING_HEAD + UTF16_UNIT * value.length;
    case 'bigint':
      return BIGINT_HEAD + bigintBytes(value);
    case 'function':
      return FUNCTION;
    default:
      return WORD;
  }
}

function bigintBytes(value: bigint): number {
  // Hexadecimal, the base that engines convert to in linear time.
  const digits = (value < 0n ? -value : value).toString(16).length;
  return (digits + 1) >> 1;
}

/** Walks with a list of its own instead of recursion: values may be deeper than the call stack. */
class Walk {
  #bytes = 0;
  readonly #root: object;
  readonly #enough: number;
  readonly #pending: object[] = [];
  /** What was come to below the root; made with the first such object, since most values are flat. */
  #seen: Set<object> | undefined;

  constructor(root: object, enough: number) {
    this.#root = root;
    this.#enough = enough;
  }

  /** Counts the root and all it leads to; or, when `rootBytes` of the root are counted already, what was referred to. */
  measure(rootBytes?: number): number {
    let next = rootBytes === undefined ? this.#root : this.#pending.pop();
    this.#bytes += rootBytes ?? 0;
    while (next !== undefined && this.#bytes <= this.#enough) {
      this.#count(next);
      next = this.#pending.pop();
    }
    return this.#bytes;
  }

  /** The word of the reference is counted with its holder; this counts what it leads to. */
  refer(value: unknown): void {
    if (typeof value === 'object' && value !== null) {
      if (value === this.#root || this.#seen?.has(value)) return;
      this.#seen ??= new Set();
      this.#seen.add(value);
      this.#pending.push(value);
    } else {
      this.#bytes += referredBytes(value);
    }
  }

  #count(value: object): void {
    if (Array.isArray(value)) {
      this.#bytes += OBJECT_HEAD + WORD * value.length;
      // Its length alone may be enough, and may be a billion holes.
      if (this.#bytes > this.#enough) return;
      for (let i = 0; i < value.length; i++) this.refer(value[i]);
    } else if (value instanceof Map) {
      this.#bytes += COLLECTION_HEAD + MAP_ENTRY * value.size;
      for (const [key, item] of value) {
        this.refer(key);
        this.refer(item);
      }
    } else if (value instanceof Set) {
      this.#bytes += COLLECTION_HEAD + SET_ENTRY * value.size;
      for (const item of value) this.refer(item);
    } else if (value instanceof Date) {
      this.#bytes += DATE;
    } else if (ArrayBuffer.isView(value) || isBuffer(value)) {
      this.#bytes += BUFFER_HEAD + value.byteLength;
    } else if (isBlob(value)) {
      this.#bytes += BUFFER_HEAD + value.size;
    } else {
      this.#bytes += OBJECT_HEAD;
      for (const name of Object.keys(value)) {
        this.#bytes += WORD + UTF16_UNIT * name.length;
        this.refer((value as Record<string, unknown>)[name]);
      }
    }
  }
}

function isBuffer(value: object): value is ArrayBuffer {
  if (value instanceof ArrayBuffer) return true;
  // Absent where the page is not isolated.
  return typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer;
}

function isBlob(value: object): value is Blob {
  return typeof Blob !== 'undefined' && value instanceof Blob;
}
