/**
 * Values one after the other: thousands of them are two objects, where an array of them would be as many as there are, and each of
 * those a burden to whoever collects garbage.
 */
export interface PackedValues {
  readonly bytes: Uint8Array;
  /** Of each value, in order; {@link DELETED} where there is none. */
  readonly lengths: Int32Array;
}

/** The length of what deletes. */
export const DELETED = -1;

/** Takes the bytes of a value. */
export interface ByteSink {
  /** The first `length` of `bytes`, which the sink copies. */
  append(bytes: Uint8Array, length: number): void;
}

export class Packer implements ByteSink {
  #bytes: Uint8Array;
  #end = 0;
  #lengths: number[] = [];

  /** @param room for how many bytes; it grows. */
  constructor(room: number) {
    this.#bytes = new Uint8Array(room);
  }

  append(bytes: Uint8Array, length: number): void {
    const end = this.#end + length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
    }
    // A loop is faster than a view of the few bytes that most values have.
    if (length < 64) for (let at = 0; at < length; at += 1) this.#bytes[this.#end + at] = bytes[at] as number;
    else this.#bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#end);
    this.#end = end;
    this.#lengths.push(length);
  }

  /** In the place of a value, says that there is none. */
  delete(): void {
    this.#lengths.push(DELETED);
  }

  /** The length of the last value; 0 for none. */
  get last(): number {
    return Math.max(0, this.#lengths.at(-1) ?? 0);
  }

  /** Gives all values but the last so many, which stay. */
  take(stay = 0): PackedValues {
    const lengths = Int32Array.from(this.#lengths.slice(0, this.#lengths.length - stay));
    this.#lengths = this.#lengths.slice(lengths.length);
    const kept = this.#lengths.reduce((sum, length) => sum + Math.max(0, length), 0);
    const bytes = this.#bytes.slice(0, this.#end - kept);
    this.#bytes.copyWithin(0, bytes.length, this.#end);
    this.#end = kept;
    return { bytes, lengths };
  }
}
