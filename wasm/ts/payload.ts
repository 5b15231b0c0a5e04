/** Values between what applications hold and the bytes that cross to the engine. */
import type { GossipStoreError } from './errors.js';
import { decodeValue, encodeValue } from './value-codec.js';

/**
 * Stands for a value whose bytes this version cannot read: written by a newer version, or by a peer that keeps no rules. Reads
 * give it in the value's place, so that one such value does not hide a list of others. Written back, it keeps its bytes.
 */
export class UnreadableValue {
  readonly bytes: Uint8Array;
  /** What is wrong with the bytes; its code is `ValueCorrupt`. */
  readonly error: GossipStoreError;

  constructor(bytes: Uint8Array, error: GossipStoreError) {
    this.bytes = bytes;
    this.error = error;
  }
}

/** The bytes of a value; throws `ValueNotStorable` or `ValueTooLarge`. */
export function toBytes(value: unknown): Uint8Array {
  return value instanceof UnreadableValue ? value.bytes : encodeValue(value);
}

/** The value of bytes that crossed; nothing is `undefined`. */
export function fromBytes<V>(bytes: Uint8Array): V;
export function fromBytes<V>(bytes: Uint8Array | undefined): V | undefined;
export function fromBytes<V>(bytes: Uint8Array | undefined): V | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decodeValue(bytes) as V;
  } catch (error) {
    return new UnreadableValue(bytes, error as GossipStoreError) as V;
  }
}
