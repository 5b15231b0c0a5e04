/**
 * Values as bytes: what the store keeps, hashes and sends.
 *
 * The format is CBOR (RFC 8949) with registered tags only, so any CBOR reader understands it. It is canonical: a value has
 * exactly one encoding, and bytes that are not the encoding of their value are refused. Replicas tell values apart by hash,
 * so two tabs that store equal values must arrive at equal bytes.
 *
 * | value | bytes |
 * |---|---|
 * | `null`, `undefined`, booleans | simple values; `undefined` only inside something, since a key without a value has it |
 * | number, whole and within ±(2^53 - 1) | integer, shortest form |
 * | any other number, `-0`, `NaN`, infinities | shortest float (16, 32 or 64 bits) that holds it exactly |
 * | bigint | tag 2 or 3 and its magnitude, also when it would fit an integer: `5n` is not `5` |
 * | string | text, UTF-8; with half a surrogate pair in it: tag 273 and WTF-8, so that no string is altered or refused |
 * | `Date` | tag 1 and seconds, whole or as a float; an invalid date holds `NaN` |
 * | `ArrayBuffer` | bytes |
 * | typed array | tag of RFC 8746 and bytes, little-endian: 64 `Uint8Array`, 68 to 71, 72, 77 to 79, 85, 86 |
 * | array | array; a hole becomes `undefined` |
 * | plain object | map with text keys in the order of RFC 8949, 4.2.1 (shorter first, then by bytes) |
 * | `Map` | tag 259 and a map in its own order, which is part of the value |
 * | `Set` | tag 258 and an array in its own order |
 *
 * As in `structuredClone`, an object's own enumerable string keys are its content (a getter is called, symbols are left out),
 * an object without a prototype comes back with one, and a subclass of a built-in comes back as the built-in (so does Node's
 * `Buffer`: as `Uint8Array`). Unlike there, what is referred to twice is written twice, cycles are refused, keys of objects come
 * back in canonical order, and the rest of what it carries (`RegExp`, `Error`, `Blob` …) is refused rather than half kept.
 *
 * There is no version byte: a new kind of value gets a new tag, and a reader that does not know a tag says so.
 */

import type { ByteSink } from './packed-values.js';
import { Decoder } from './value-decoder.js';
import { Encoder } from './value-encoder.js';

/** The encoder that waits for work. A getter of a value may store another value, so there may be need of a second. */
let idle: Encoder | undefined;
const decoder = new Decoder();

/**
 * The bytes of a value, in an array of their own.
 *
 * @throws GossipStoreError `ValueNotStorable`, with the path to what cannot be stored, or `ValueTooLarge`.
 */
export function encodeValue(value: unknown): Uint8Array {
  return withEncoder((encoder) => encoder.encode(value));
}

/** As {@link encodeValue}; hands the bytes over. */
export function encodeValueTo(value: unknown, sink: ByteSink): void {
  withEncoder((encoder) => encoder.encodeTo(value, sink));
}

function withEncoder<T>(use: (encoder: Encoder) => T): T {
  const encoder = idle ?? new Encoder();
  idle = undefined;
  try {
    return use(encoder);
  } finally {
    idle = encoder;
  }
}

/**
 * The value of bytes that {@link encodeValue} made. Whatever the bytes are, this ends soon and takes memory in proportion to
 * their number; what it returns shares no memory with them.
 *
 * @throws GossipStoreError `ValueCorrupt` for any other bytes.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}
