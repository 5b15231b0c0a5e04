/** From bytes to their value, trusting nothing. The format is told in `value-codec.ts`. */

import { GossipStoreError } from './errors.js';
import { fromHalf, halfOf } from './value-float.js';
import {
  ARRAY,
  BIGINT_BYTES_MAX,
  BYTES,
  FALSE,
  FLOAT16,
  FLOAT32,
  FLOAT64,
  MAP,
  NEGATIVE,
  NESTING_MAX,
  NULL,
  TAG,
  TAG_BIGINT,
  TAG_DATE,
  TAG_MAP,
  TAG_NEGATIVE_BIGINT,
  TAG_SET,
  TAG_WTF8,
  TEXT,
  TRUE,
  TYPED_ARRAYS,
  UNDEFINED,
  UNSIGNED,
  VALUE_BYTES_MAX,
} from './value-format.js';
import { decodeWtf8, isWellFormed } from './value-text.js';

/** Text up to here is read byte by byte, which is faster than to call `TextDecoder` for it. */
const SHORT_TEXT_BYTES = 40;
/** Keys up to here are looked up among those read lately, which saves making the same string again. */
const REMEMBERED_KEY_BYTES = 32;
/** How many keys are remembered; a power of two. Each is at most {@link REMEMBERED_KEY_BYTES} long. */
const REMEMBERED_KEYS = 512;

const KINDS_BY_TAG = new Map(TYPED_ARRAYS.map((kind) => [kind.tag, kind]));

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const NO_BYTES = new Uint8Array(0);

export class Decoder {
  #bytes: Uint8Array = NO_BYTES;
  /** Over the same bytes; made for the first float, since most values have none. */
  #view: DataView | undefined;
  #at = 0;
  #depth = 0;
  readonly #keys: string[] = new Array(REMEMBERED_KEYS).fill('');

  decode(bytes: Uint8Array): unknown {
    this.#bytes = bytes;
    this.#at = 0;
    this.#depth = 0;
    try {
      if (bytes.length > VALUE_BYTES_MAX) throw this.#corrupt('too long');
      if (bytes[0] === UNDEFINED) throw this.#corrupt('no value');
      const value = this.#value();
      if (this.#at !== bytes.length) throw this.#corrupt('something after the end');
      return value;
    } finally {
      this.#bytes = NO_BYTES;
      this.#view = undefined;
    }
  }

  #value(): unknown {
    const first = this.#byte();
    if (first < 24) return first;
    switch (first >> 5) {
      case UNSIGNED:
        return this.#argument(first);
      case NEGATIVE: {
        const value = -1 - this.#argument(first);
        if (!Number.isSafeInteger(value)) throw this.#corrupt('an integer beyond 2^53');
        return value;
      }
      case BYTES:
        return this.#copy(this.#argument(first)).buffer;
      case TEXT:
        return this.#text(this.#argument(first));
      case ARRAY:
        return this.#array(this.#argument(first));
      case MAP:
        return this.#object(this.#argument(first));
      case TAG:
        return this.#tagged(this.#argument(first));
      default:
        return this.#simple(first);
    }
  }

  #simple(first: number): unknown {
    switch (first) {
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NULL:
        return null;
      case UNDEFINED:
        return undefined;
      case FLOAT16:
        return this.#float16();
      case FLOAT32:
        return this.#float32();
      case FLOAT64:
        return this.#float64();
      default:
        throw this.#corrupt('an unknown kind of value');
    }
  }

  // A float is refused when an integer or a shorter float is the same value: each value has one encoding.

  #float16(): number {
    const bits = this.#uint16();
    const value = fromHalf(bits);
    const canonical = Number.isNaN(value) ? bits === 0x7e00 : !Number.isInteger(value) || Object.is(value, -0);
    if (!canonical) throw this.#corrupt('a number in a longer form than it needs');
    return value;
  }

  #float32(): number {
    const value = this.#floats(4).getFloat32(this.#at - 4);
    if (!Number.isFinite(value) || Number.isSafeInteger(value) || halfOf(value) !== undefined) {
      throw this.#corrupt('a number in a longer form than it needs');
    }
    return value;
  }

  #float64(): number {
    const value = this.#floats(8).getFloat64(this.#at - 8);
    if (Number.isNaN(value) || Number.isSafeInteger(value) || Math.fround(value) === value) {
      throw this.#corrupt('a number in a longer form than it needs');
    }
    return value;
  }

  #array(count: number): unknown[] {
    this.#enter(count);
    // Filled one by one: room made for a claimed length would let a few bytes ask for gigabytes.
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.#value());
    this.#depth--;
    return items;
  }

  #object(count: number): Record<string, unknown> {
    this.#enter(count * 2);
    const object: Record<string, unknown> = {};
    let previousStart = 0;
    let previousEnd = 0;
    for (let i = 0; i < count; i++) {
      const start = this.#at;
      const key = this.#key();
      const end = this.#at;
      if (i > 0 && !this.#isBefore(previousStart, previousEnd, start, end)) {
        throw this.#corrupt('keys that are repeated or out of order');
      }
      previousStart = start;
      previousEnd = end;
      const value = this.#value();
      if (key === '__proto__') {
        // Assigning would set the prototype of the object.
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      } else {
        object[key] = value;
      }
    }
    this.#depth--;
    return object;
  }

  /** Whether the encoded key in the first range comes before that in the second. */
  #isBefore(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const bytes = this.#bytes;
    const length = Math.min(aEnd - aStart, bEnd - bStart);
    for (let i = 0; i < length; i++) {
      const difference = (bytes[aStart + i] as number) - (bytes[bStart + i] as number);
      if (difference !== 0) return difference < 0;
    }
    // Neither is the beginning of the other, since each tells its length first; so they are the same.
    return false;
  }

  #key(): string {
    const first = this.#byte();
    if (first >> 5 === TEXT) {
      const length = this.#argument(first);
      return length <= REMEMBERED_KEY_BYTES ? this.#shortKey(length) : this.#text(length);
    }
    if (first >> 5 === TAG && this.#argument(first) === TAG_WTF8) return this.#wtf8();
    throw this.#corrupt('a key that is no text');
  }

  /** A key of an object is most often one that was read before. */
  #shortKey(length: number): string {
    this.#need(length);
    const bytes = this.#bytes;
    const start = this.#at;
    let hash = length;
    for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + (bytes[start + i] as number)) | 0;
    const slot = (hash ^ (hash >>> 9)) & (REMEMBERED_KEYS - 1);
    const remembered = this.#keys[slot] as string;
    if (remembered.length === length) {
      let i = 0;
      // Equal units mean equal bytes only for ASCII; a longer encoding differs in its length already.
      while (i < length && remembered.charCodeAt(i) === bytes[start + i]) i++;
      if (i === length) {
        this.#at = start + length;
        return remembered;
      }
    }
    const key = this.#text(length);
    if (key.length === length) this.#keys[slot] = key;
    return key;
  }

  #text(length: number): string {
    this.#need(length);
    const start = this.#at;
    const end = start + length;
    this.#at = end;
    if (length <= SHORT_TEXT_BYTES) {
      const text = readShort(this.#bytes, start, end);
      if (text !== undefined) return text;
    }
    try {
      return utf8.decode(this.#bytes.subarray(start, end));
    } catch (cause) {
      throw this.#corrupt('text that is not UTF-8', cause);
    }
  }

  #wtf8(): string {
    const bytes = this.#tagBytes();
    const text = decodeWtf8(bytes);
    if (text === undefined || isWellFormed(text)) throw this.#corrupt('text that is not WTF-8');
    return text;
  }

  #tagged(tag: number): unknown {
    switch (tag) {
      case TAG_DATE:
        return this.#date();
      case TAG_BIGINT:
        return this.#magnitude();
      case TAG_NEGATIVE_BIGINT:
        return -1n - this.#magnitude();
      case TAG_SET:
        return this.#set();
      case TAG_MAP:
        return this.#map();
      case TAG_WTF8:
        return this.#wtf8();
    }
    const kind = KINDS_BY_TAG.get(tag);
    if (kind === undefined) throw this.#corrupt(`an unknown tag, ${tag}`);
    const bytes = this.#tagBytes();
    if (bytes.length % kind.width !== 0) throw this.#corrupt(`a ${kind.name} of ${bytes.length} bytes`);
    return kind.make(bytes.buffer);
  }

  #date(): Date {
    const first = this.#byte();
    // Asked before it is read: a chain of tags would otherwise go as deep as the bytes are long.
    const isNumber = first >> 5 === UNSIGNED || first >> 5 === NEGATIVE || (first >= FLOAT16 && first <= FLOAT64);
    if (!isNumber) throw this.#corrupt('a date that is no number');
    this.#at--;
    const seconds = this.#value() as number;
    const date = new Date(Math.round(seconds * 1000));
    if (!Object.is(date.getTime() / 1000, seconds)) {
      throw this.#corrupt('a date between two milliseconds or beyond all dates');
    }
    return date;
  }

  #magnitude(): bigint {
    const bytes = this.#tagBytes();
    if (bytes.length > BIGINT_BYTES_MAX) throw this.#corrupt('a bigint that is too long');
    if (bytes.length === 0) return 0n;
    if (bytes[0] === 0) throw this.#corrupt('a bigint in a longer form than it needs');
    const digits: string[] = [];
    for (const byte of bytes) digits.push(byte < 16 ? `0${byte.toString(16)}` : byte.toString(16));
    return BigInt(`0x${digits.join('')}`);
  }

  #set(): Set<unknown> {
    const count = this.#headOf(ARRAY);
    this.#enter(count);
    const set = new Set();
    for (let i = 0; i < count; i++) set.add(this.#collectable());
    if (set.size !== count) throw this.#corrupt('an item of a Set twice');
    this.#depth--;
    return set;
  }

  #map(): Map<unknown, unknown> {
    const count = this.#headOf(MAP);
    this.#enter(count * 2);
    const map = new Map();
    for (let i = 0; i < count; i++) {
      const key = this.#collectable();
      map.set(key, this.#value());
    }
    if (map.size !== count) throw this.#corrupt('a key of a Map twice');
    this.#depth--;
    return map;
  }

  /** An item of a Set or a key of a Map. */
  #collectable(): unknown {
    const value = this.#value();
    if (Object.is(value, -0)) throw this.#corrupt('-0 where a Set or Map holds 0');
    return value;
  }

  #tagBytes(): Uint8Array<ArrayBuffer> {
    return this.#copy(this.#headOf(BYTES));
  }

  #headOf(major: number): number {
    const first = this.#byte();
    if (first >> 5 !== major) throw this.#corrupt('a tag on the wrong kind of value');
    return this.#argument(first);
  }

  /** Begins a container of so many items, each of which takes a byte at least. */
  #enter(items: number): void {
    this.#need(items);
    if (++this.#depth > NESTING_MAX) throw this.#corrupt(`more than ${NESTING_MAX} levels`);
  }

  /** The argument of an item: a length, a count, a tag or the integer itself. */
  #argument(first: number): number {
    const info = first & 0x1f;
    if (info < 24) return info;
    let argument: number;
    let least: number;
    if (info === 24) {
      argument = this.#byte();
      least = 24;
    } else if (info === 25) {
      argument = this.#uint16();
      least = 0x100;
    } else if (info === 26) {
      argument = this.#uint16() * 0x10000 + this.#uint16();
      least = 0x10000;
    } else if (info === 27) {
      const high = this.#uint16() * 0x10000 + this.#uint16();
      argument = high * 0x100000000 + this.#uint16() * 0x10000 + this.#uint16();
      least = 0x100000000;
    } else {
      throw this.#corrupt('an indefinite length');
    }
    if (argument < least) throw this.#corrupt('a length or integer in a longer form than it needs');
    if (argument > Number.MAX_SAFE_INTEGER) throw this.#corrupt('an integer beyond 2^53');
    return argument;
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw this.#corrupt('an end too early');
    return this.#bytes[this.#at++] as number;
  }

  #uint16(): number {
    const high = this.#byte();
    return (high << 8) | this.#byte();
  }

  /** Passes over the bytes of a float and returns what reads them. */
  #floats(length: number): DataView {
    this.#need(length);
    this.#at += length;
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#view;
  }

  #copy(length: number): Uint8Array<ArrayBuffer> {
    this.#need(length);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    return copy;
  }

  #need(length: number): void {
    if (length > this.#bytes.length - this.#at) throw this.#corrupt('an end too early');
  }

  #corrupt(fault: string, cause?: unknown): GossipStoreError {
    const message =
      `these bytes are not a value: ${fault}, at byte ${this.#at} of ${this.#bytes.length}; update GossipStore, in case a newer ` +
      'version wrote them, or set the key anew';
    return new GossipStoreError('ValueCorrupt', message, cause === undefined ? {} : { cause });
  }
}

/**
 * Reads text of one, two and three bytes a character; `undefined` when there is anything else, right or wrong.
 * `String.fromCharCode` costs more than what it is given, hence eight at a time.
 */
function readShort(bytes: Uint8Array, start: number, end: number): string | undefined {
  let text = '';
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at] as number;
    const b = bytes[at + 1] as number;
    const c = bytes[at + 2] as number;
    const d = bytes[at + 3] as number;
    const e = bytes[at + 4] as number;
    const f = bytes[at + 5] as number;
    const g = bytes[at + 6] as number;
    const h = bytes[at + 7] as number;
    if ((a | b | c | d | e | f | g | h) >= 0x80) break;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  while (at < end) {
    const first = bytes[at++] as number;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    if (at === end) return undefined;
    const second = bytes[at++] as number;
    if ((second & 0xc0) !== 0x80) return undefined;
    if (first >= 0xc2 && first < 0xe0) {
      text += String.fromCharCode(((first & 0x1f) << 6) | (second & 0x3f));
      continue;
    }
    if (first < 0xe0 || first > 0xef || at === end) return undefined;
    const third = bytes[at++] as number;
    const unit = ((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
    if ((third & 0xc0) !== 0x80 || unit < 0x800 || (unit & 0xf800) === 0xd800) return undefined;
    text += String.fromCharCode(unit);
  }
  return text;
}
