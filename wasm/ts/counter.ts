/** A number that many add to at once. */
import { invalidOptions } from './check.js';
import { GossipStoreError } from './errors.js';
import type { Found } from './host.js';
import { fromBytes, UnreadableValue } from './payload.js';

/** What a counter needs of its store. */
interface Access {
  /** Resolves when what was added is durable. */
  add(amount: number): Promise<void>;
  /** What the key reads. */
  read(): Promise<Found | undefined>;
}

/**
 * A whole number under a key, which begins at 0. Whoever adds to it, online or not, adds to what everybody else has added: no addition is
 * lost to another that was made at the same time, and none counts twice.
 *
 * To `get`, `entries` and `changes` it is the number that `value` gives. `set` and `delete` end it as they end any value: for what they
 * have seen. An addition that was made meanwhile stays, with all that the same replica had added since it was opened.
 */
export class Counter {
  readonly #access: Access;
  /** Where it stands. */
  readonly key: string;

  /** @internal */
  constructor(key: string, access: Access) {
    this.key = key;
    this.#access = access;
  }

  /** Resolves when the addition is durable on this device; peers are told meanwhile. */
  async increment(by = 1): Promise<void> {
    await this.#access.add(checkAmount('increment', by));
  }

  /** As `increment` by the negative. */
  async decrement(by = 1): Promise<void> {
    await this.#access.add(-checkAmount('decrement', by));
  }

  /** The sum of all additions seen so far; 0 when there are none. */
  async value(): Promise<number> {
    const value = fromBytes<unknown>(await this.#access.read());
    if (value === undefined) return 0;
    if (Number.isSafeInteger(value)) return value as number;
    if (value instanceof UnreadableValue && value.bytes && isInteger(value.bytes)) {
      const message = `the counter '${this.key}' is beyond 2^53, where JavaScript cannot tell integers apart; count back, or delete the key`;
      throw new GossipStoreError('CounterOverflow', message);
    }
    const message = `the key '${this.key}' holds a value that is no counter; delete it first, or count under another key`;
    throw new GossipStoreError('NotACounter', message);
  }
}

function checkAmount(of: string, by: number): number {
  if (Number.isSafeInteger(by)) return by;
  const what = typeof by === 'number' ? String(by) : `of type ${typeof by}`;
  throw invalidOptions(of, `\`by\` is ${what}; pass an integer between -(2^53 - 1) and 2^53 - 1`);
}

/** Whether bytes begin as those of an integer do: with the major type 0 or 1. */
function isInteger(bytes: Uint8Array): boolean {
  return bytes[0] !== undefined && bytes[0] >> 5 <= 1;
}
