/** What the encoder and the decoder of values agree on. The format is told in `value-codec.ts`. */

/** The longest encoding of a value. Larger things belong in files, or in several keys that sync one by one. */
export const VALUE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * How many arrays, objects, Maps and Sets may lie in one another. Documents and syntax trees stay far below; a linked list
 * does not, and would exhaust the call stack of some reader.
 */
export const NESTING_MAX = 128;

/** The longest magnitude of a bigint: 2^20 bits, the most that every browser's engine holds. */
export const BIGINT_BYTES_MAX = 128 * 1024;

/** The major types of CBOR. */
export const UNSIGNED = 0;
export const NEGATIVE = 1;
export const BYTES = 2;
export const TEXT = 3;
export const ARRAY = 4;
export const MAP = 5;
export const TAG = 6;

/** First bytes of the major type 7. */
export const FALSE = 0xf4;
export const TRUE = 0xf5;
export const NULL = 0xf6;
export const UNDEFINED = 0xf7;
export const FLOAT16 = 0xf9;
export const FLOAT32 = 0xfa;
export const FLOAT64 = 0xfb;

export const TAG_DATE = 1;
export const TAG_BIGINT = 2;
export const TAG_NEGATIVE_BIGINT = 3;
export const TAG_SET = 258;
export const TAG_MAP = 259;
export const TAG_WTF8 = 273;

export interface TypedArrayKind {
  readonly tag: number;
  readonly name: string;
  readonly width: number;
  make(buffer: ArrayBuffer): ArrayBufferView;
}

/** The typed arrays, with the tags of RFC 8746. Every engine that runs wasm keeps them little-endian, as the tags say. */
export const TYPED_ARRAYS: readonly TypedArrayKind[] = [
  { tag: 64, name: 'Uint8Array', width: 1, make: (buffer) => new Uint8Array(buffer) },
  { tag: 68, name: 'Uint8ClampedArray', width: 1, make: (buffer) => new Uint8ClampedArray(buffer) },
  { tag: 69, name: 'Uint16Array', width: 2, make: (buffer) => new Uint16Array(buffer) },
  { tag: 70, name: 'Uint32Array', width: 4, make: (buffer) => new Uint32Array(buffer) },
  { tag: 71, name: 'BigUint64Array', width: 8, make: (buffer) => new BigUint64Array(buffer) },
  { tag: 72, name: 'Int8Array', width: 1, make: (buffer) => new Int8Array(buffer) },
  { tag: 77, name: 'Int16Array', width: 2, make: (buffer) => new Int16Array(buffer) },
  { tag: 78, name: 'Int32Array', width: 4, make: (buffer) => new Int32Array(buffer) },
  { tag: 79, name: 'BigInt64Array', width: 8, make: (buffer) => new BigInt64Array(buffer) },
  { tag: 85, name: 'Float32Array', width: 4, make: (buffer) => new Float32Array(buffer) },
  { tag: 86, name: 'Float64Array', width: 8, make: (buffer) => new Float64Array(buffer) },
];
