/** From a value to its bytes. The format is told in `value-codec.ts`. */

import { GossipStoreError } from './errors.js';
import type { ByteSink } from './packed-values.js';
import { halfOf } from './value-float.js';
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
import { KeyOrder } from './value-keys.js';
import { describe, pathOf } from './value-path.js';
import { encodeWtf8, isWellFormed } from './value-text.js';

/** The output buffer at first. Most values are far smaller, and it serves all of them, one after the other. */
const FIRST_BUFFER_BYTES = 4 * 1024;
/** A buffer that had to grow beyond this for one value is not kept for the next. */
const KEPT_BUFFER_BYTES = 256 * 1024;
/** The longest head of an item: a byte and eight of a length. */
const HEAD_BYTES_MAX = 9;
/** Strings up to here are written unit by unit, which is faster than to call `TextEncoder` for them. */
const SHORT_TEXT_UNITS = 32;
/** Bigints beyond it are too long for {@link BIGINT_BYTES_MAX}, which a shift finds out without writing them out. */
const BIGINT_BITS_MAX = BigInt(BIGINT_BYTES_MAX * 8);

const KINDS_BY_NAME = new Map(TYPED_ARRAYS.map((kind) => [kind.name, kind]));

// An object may call itself a Date or a Map; only a real one, also of another frame, answers these.
const classOf = Object.prototype.toString;
const timeOf = Date.prototype.getTime;
const mapSizeOf = getterOf(Map.prototype, 'size') as (this: unknown) => number;
const setSizeOf = getterOf(Set.prototype, 'size') as (this: unknown) => number;
const byteLengthOf = getterOf(ArrayBuffer.prototype, 'byteLength') as (this: unknown) => number;
const typedArrayName = getterOf(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag);

const utf8 = new TextEncoder();

export class Encoder {
  #bytes = new Uint8Array(FIRST_BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #keyOrder = new KeyOrder();
  /** The containers that are being written, from the outermost. */
  readonly #containers: object[] = [];
  /** For each of them, the key or index that is being written; see {@link pathOf}. */
  readonly #steps: (string | number)[] = [];

  /** The bytes of a value, in an array of their own. */
  encode(value: unknown): Uint8Array {
    return this.#encode(value, () => new Uint8Array(this.#bytes.subarray(0, this.#at)));
  }

  /** Hands the bytes of a value over. */
  encodeTo(value: unknown, sink: ByteSink): void {
    this.#encode(value, () => sink.append(this.#bytes, this.#at));
  }

  #encode<T>(value: unknown, take: () => T): T {
    this.#at = 0;
    try {
      if (value === undefined) {
        throw this.#refusal('is undefined, which a missing key is too', 'store null, or delete the key');
      }
      this.#value(value);
      if (this.#at > VALUE_BYTES_MAX) throw tooLarge();
      return take();
    } catch (error) {
      const thrown =
        error instanceof GossipStoreError
          ? error
          : this.#refusal('threw an error when it was read', 'see the cause, and store a plain copy', error);
      this.#containers.length = 0;
      throw thrown;
    } finally {
      if (this.#bytes.length > KEPT_BUFFER_BYTES) this.#resize(FIRST_BUFFER_BYTES);
    }
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.#text(value);
        break;
      case 'number':
        this.#number(value);
        break;
      case 'boolean':
        this.#byte(value ? TRUE : FALSE);
        break;
      case 'undefined':
        this.#byte(UNDEFINED);
        break;
      case 'bigint':
        this.#bigint(value);
        break;
      case 'object':
        if (value === null) this.#byte(NULL);
        else this.#object(value);
        break;
      default:
        throw this.#notStorable(value);
    }
  }

  #object(value: object): void {
    if (Array.isArray(value)) this.#array(value);
    else if (isPlain(value)) this.#plain(value as Record<string, unknown>);
    else if (ArrayBuffer.isView(value)) this.#typedArray(value);
    else if (!this.#builtIn(value)) throw this.#notStorable(value);
  }

  /** Writes a Date, Map, Set or ArrayBuffer, and says whether it was one. */
  #builtIn(value: object): boolean {
    switch (classOf.call(value)) {
      case '[object Date]': {
        const milliseconds = ask(timeOf, value);
        if (milliseconds === undefined) return false;
        this.#date(value as Date, milliseconds);
        return true;
      }
      case '[object Map]': {
        const size = ask(mapSizeOf, value);
        if (size === undefined) return false;
        this.#map(value as Map<unknown, unknown>, size);
        return true;
      }
      case '[object Set]': {
        const size = ask(setSizeOf, value);
        if (size === undefined) return false;
        this.#set(value as Set<unknown>, size);
        return true;
      }
      case '[object ArrayBuffer]': {
        const length = ask(byteLengthOf, value);
        if (length === undefined) return false;
        this.#rawBytes(value as ArrayBuffer, 0, length);
        return true;
      }
      default:
        return false;
    }
  }

  #array(items: readonly unknown[]): void {
    const depth = this.#enter(items);
    const count = items.length;
    // Each takes a byte at least; an array may be a billion holes.
    if (count > VALUE_BYTES_MAX) throw tooLarge();
    this.#head(ARRAY, count);
    for (let i = 0; i < count; i++) {
      this.#steps[depth] = i;
      this.#value(items[i]);
    }
    this.#leave();
  }

  #plain(object: Record<string, unknown>): void {
    const depth = this.#enter(object);
    const keys = this.#keyOrder.of(object);
    this.#head(MAP, keys.length);
    for (const key of keys) {
      this.#steps[depth] = key;
      this.#text(key);
      this.#value(object[key]);
    }
    this.#leave();
  }

  #map(map: Map<unknown, unknown>, size: number): void {
    const depth = this.#enter(map);
    this.#head(TAG, TAG_MAP);
    this.#head(MAP, size);
    let step = 0;
    for (const [key, value] of Map.prototype.entries.call(map)) {
      this.#steps[depth] = step++;
      this.#value(key);
      this.#steps[depth] = step++;
      this.#value(value);
    }
    if (step !== size * 2) throw this.#changed();
    this.#leave();
  }

  #set(set: Set<unknown>, size: number): void {
    const depth = this.#enter(set);
    this.#head(TAG, TAG_SET);
    this.#head(ARRAY, size);
    let step = 0;
    for (const item of Set.prototype.values.call(set)) {
      this.#steps[depth] = step++;
      this.#value(item);
    }
    if (step !== size) throw this.#changed();
    this.#leave();
  }

  #typedArray(array: ArrayBufferView): void {
    const kind = KINDS_BY_NAME.get(String(typedArrayName.call(array)));
    if (kind === undefined) throw this.#notStorable(array);
    this.#head(TAG, kind.tag);
    this.#rawBytes(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
  }

  #rawBytes(buffer: ArrayBuffer, offset: number, length: number): void {
    if (this.#at + length > VALUE_BYTES_MAX) throw tooLarge();
    let source: Uint8Array;
    try {
      source = new Uint8Array(buffer, offset, length);
    } catch (error) {
      // A buffer that was transferred to a worker is of length 0 and must not be stored as if it were empty.
      throw this.#refusal('was transferred away and holds nothing any more', 'store it before, or a copy', error);
    }
    this.#head(BYTES, length);
    this.#reserve(length);
    this.#bytes.set(source, this.#at);
    this.#at += length;
  }

  #date(date: Date, milliseconds: number): void {
    const seconds = milliseconds / 1000;
    if (Math.round(seconds * 1000) !== milliseconds && !Number.isNaN(milliseconds)) {
      const fault = `is a date in the year ${date.getUTCFullYear()}, whose milliseconds a float of seconds cannot hold`;
      throw this.#refusal(fault, 'store its getTime()');
    }
    this.#head(TAG, TAG_DATE);
    this.#number(seconds);
  }

  #number(value: number): void {
    if ((value | 0) === value && (value !== 0 || Object.is(value, 0))) {
      if (value >= 0) this.#head(UNSIGNED, value);
      else this.#head(NEGATIVE, -1 - value);
    } else if (Number.isSafeInteger(value) && value !== 0) {
      if (value >= 0) this.#head(UNSIGNED, value);
      else this.#head(NEGATIVE, -1 - value);
    } else {
      this.#float(value);
    }
  }

  #float(value: number): void {
    this.#reserve(HEAD_BYTES_MAX);
    const at = this.#at;
    if (Number.isNaN(value) || Math.fround(value) === value) {
      const half = halfOf(value);
      if (half !== undefined) {
        this.#bytes[at] = FLOAT16;
        this.#view.setUint16(at + 1, half);
        this.#at = at + 3;
      } else {
        this.#bytes[at] = FLOAT32;
        this.#view.setFloat32(at + 1, value);
        this.#at = at + 5;
      }
    } else {
      this.#bytes[at] = FLOAT64;
      this.#view.setFloat64(at + 1, value);
      this.#at = at + 9;
    }
  }

  #bigint(value: bigint): void {
    const negative = value < 0n;
    const magnitude = negative ? -1n - value : value;
    if (magnitude >> BIGINT_BITS_MAX !== 0n) {
      const fault = `is a bigint of more than ${BIGINT_BYTES_MAX} bytes, which some browsers cannot hold`;
      throw this.#refusal(fault, 'store a Uint8Array');
    }
    this.#head(TAG, negative ? TAG_NEGATIVE_BIGINT : TAG_BIGINT);
    let digits = magnitude === 0n ? '' : magnitude.toString(16);
    if (digits.length % 2 === 1) digits = `0${digits}`;
    const length = digits.length / 2;
    this.#head(BYTES, length);
    this.#reserve(length);
    for (let i = 0; i < length; i++) this.#bytes[this.#at + i] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16);
    this.#at += length;
  }

  #text(text: string): void {
    const units = text.length;
    if (units > SHORT_TEXT_UNITS) {
      this.#longText(text);
      return;
    }
    this.#reserve(SHORT_TEXT_UNITS * 3 + HEAD_BYTES_MAX);
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start + headBytes(units);
    for (let i = 0; i < units; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x80) {
        bytes[at++] = unit;
      } else if (unit < 0x800) {
        bytes[at++] = 0xc0 | (unit >> 6);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else if ((unit & 0xf800) !== 0xd800) {
        bytes[at++] = 0xe0 | (unit >> 12);
        bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else {
        // Pairs are rarer and their rules longer.
        this.#longText(text);
        return;
      }
    }
    this.#finishText(units, at - start - headBytes(units));
  }

  /** Text of any length and alphabet. */
  #longText(text: string): void {
    const units = text.length;
    if (this.#at + units > VALUE_BYTES_MAX) throw tooLarge();
    this.#reserve(units * 3 + HEAD_BYTES_MAX);
    const { written } = utf8.encodeInto(text, this.#bytes.subarray(this.#at + headBytes(units)));
    if (written !== units && !isWellFormed(text)) {
      const wtf8 = encodeWtf8(text);
      this.#head(TAG, TAG_WTF8);
      this.#rawBytes(wtf8.buffer as ArrayBuffer, 0, wtf8.length);
      return;
    }
    this.#finishText(units, written);
  }

  /**
   * Puts the head before text that is written. The head's length depends on the number of bytes, which only writing tells: room
   * was left for the least they can be, and the text moves when there are more.
   */
  #finishText(units: number, written: number): void {
    const guess = headBytes(units);
    const head = headBytes(written);
    if (head !== guess) this.#bytes.copyWithin(this.#at + head, this.#at + guess, this.#at + guess + written);
    this.#head(TEXT, written);
    this.#at += written;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  /** The first bytes of an item: its major type and its argument, in the shortest form. */
  #head(major: number, argument: number): void {
    this.#reserve(HEAD_BYTES_MAX);
    const bytes = this.#bytes;
    const at = this.#at;
    const type = major << 5;
    if (argument < 24) {
      bytes[at] = type | argument;
      this.#at = at + 1;
    } else if (argument < 0x100) {
      bytes[at] = type | 24;
      bytes[at + 1] = argument;
      this.#at = at + 2;
    } else if (argument < 0x10000) {
      bytes[at] = type | 25;
      bytes[at + 1] = argument >> 8;
      bytes[at + 2] = argument;
      this.#at = at + 3;
    } else if (argument < 0x100000000) {
      bytes[at] = type | 26;
      this.#view.setUint32(at + 1, argument);
      this.#at = at + 5;
    } else {
      bytes[at] = type | 27;
      this.#view.setUint32(at + 1, Math.floor(argument / 0x100000000));
      this.#view.setUint32(at + 5, argument >>> 0);
      this.#at = at + 9;
    }
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    if (this.#at > VALUE_BYTES_MAX) throw tooLarge();
    const written = this.#bytes;
    this.#resize(Math.max(this.#bytes.length * 2, this.#at + length));
    this.#bytes.set(written.subarray(0, this.#at));
  }

  #resize(length: number): void {
    this.#bytes = new Uint8Array(length);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Begins a container and returns its depth. */
  #enter(container: object): number {
    const depth = this.#containers.length;
    for (let i = 0; i < depth; i++) {
      if (this.#containers[i] === container) {
        const target = pathOf(this.#containers.slice(0, i), this.#steps);
        throw this.#refusal(`refers back to ${target}, a cycle`, 'store the key or id of what it refers to');
      }
    }
    if (depth === NESTING_MAX) {
      const fault = `lies deeper than ${NESTING_MAX} levels, the most that can be stored`;
      throw this.#refusal(fault, 'spread it over several keys');
    }
    this.#containers.push(container);
    return depth;
  }

  #leave(): void {
    this.#containers.pop();
  }

  #notStorable(value: unknown): GossipStoreError {
    const { what, remedy } = describe(value);
    return this.#refusal(`is ${what}, which cannot be stored`, remedy);
  }

  #changed(): GossipStoreError {
    return this.#refusal('was changed by a getter while it was being read', 'store a copy');
  }

  #refusal(fault: string, remedy: string, cause?: unknown): GossipStoreError {
    const path = pathOf(this.#containers, this.#steps);
    return new GossipStoreError(
      'ValueNotStorable',
      `${path} ${fault}; ${remedy}`,
      cause === undefined ? {} : { cause },
    );
  }
}

function tooLarge(): GossipStoreError {
  const mebibytes = VALUE_BYTES_MAX / 1024 / 1024;
  const message = `the value takes more than ${mebibytes} MiB as bytes, the most that one key holds; spread it over several keys`;
  return new GossipStoreError('ValueTooLarge', message);
}

/** How many bytes the head of an item with this argument takes. */
function headBytes(argument: number): number {
  return argument < 24 ? 1 : argument < 0x100 ? 2 : argument < 0x10000 ? 3 : 5;
}

function getterOf(prototype: object, name: PropertyKey): (this: unknown) => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => unknown;
}

function ask<T>(method: (this: never) => T, value: unknown): T | undefined {
  try {
    return method.call(value as never);
  } catch {
    return undefined;
  }
}

/** Whether it is an object literal or the like, also one of another frame or context. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf');
}
