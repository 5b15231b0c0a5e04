/** Values between what applications hold and the bytes that cross to the engine. */
import { GossipStoreError } from './errors.js';
import type { Found } from './host.js';
import type { ByteSink } from './packed-values.js';
import { decodeValue, encodeValue, encodeValueTo } from './value-codec.js';

/**
 * Stands for a value that cannot be read: written by a newer version, or by a peer that keeps no rules, or lost by the disk. Reads give it
 * in the value's place, so that one such value does not hide a list of others. Written back, it keeps its bytes.
 */
export class UnreadableValue {
  /** `undefined` where the device has lost them. */
  readonly bytes: Uint8Array | undefined;
  /** What is wrong; its code is `ValueCorrupt` or, without bytes, `ValueLost`. */
  readonly error: GossipStoreError;

  constructor(bytes: Uint8Array | undefined, error: GossipStoreError) {
    this.bytes = bytes;
    this.error = error;
  }
}

function lost(): GossipStoreError {
  const remedy = 'it is fetched from the next peer that has it; or write another';
  return new GossipStoreError('ValueLost', `the value is damaged or gone on this device; ${remedy}`);
}

/** The bytes of a value; throws `ValueNotStorable` or `ValueTooLarge`. */
export function toBytes(value: unknown): Uint8Array {
  if (!(value instanceof UnreadableValue)) return encodeValue(value);
  if (!value.bytes) throw value.error;
  return value.bytes;
}

/** As {@link toBytes}; hands the bytes over. */
export function toSink(value: unknown, sink: ByteSink): void {
  if (!(value instanceof UnreadableValue)) encodeValueTo(value, sink);
  else if (value.bytes) sink.append(value.bytes, value.bytes.length);
  else throw value.error;
}

/** The value of bytes that crossed; nothing is `undefined`. */
export function fromBytes<V>(bytes: Found): V;
export function fromBytes<V>(bytes: Found | undefined): V | undefined;
export function fromBytes<V>(bytes: Found | undefined): V | undefined {
  if (bytes === undefined) return undefined;
  if (bytes === null) return new UnreadableValue(undefined, lost()) as V;
  try {
    return decodeValue(bytes) as V;
  } catch (error) {
    return new UnreadableValue(bytes, error as GossipStoreError) as V;
  }
}
