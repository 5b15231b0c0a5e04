/** Writes that become visible together. */
import { checkKey } from './check.js';
import { GossipStoreError } from './errors.js';
import type { Context, EncodedSibling, Found, Limits, Writes } from './host.js';
import { fromBytes, toBytes } from './payload.js';

type Read = (key: string) => Promise<{ values: readonly EncodedSibling[]; context: Context }>;

/**
 * What `transaction` hands to its callback. Reads see the writes made before them; the store sees none until the callback has
 * ended well.
 *
 * A write supersedes what the transaction has read of its key. If another value has come in between, both are kept, as
 * siblings, and nobody's change is lost. A key that was not read is superseded as it stands at the end, as by `set`.
 */
export class Transaction<V = unknown> {
  readonly #limits: Limits;
  readonly #read: Read;
  readonly #writes = new Map<string, Uint8Array | null>();
  readonly #seen = new Map<string, Context>();
  #ended = false;

  /** @internal */
  constructor(limits: Limits, read: Read) {
    this.#limits = limits;
    this.#read = read;
  }

  set(key: string, value: V): void {
    this.#write(key, toBytes(value));
  }

  delete(key: string): void {
    this.#write(key, null);
  }

  async get<T = V>(key: string): Promise<T | undefined> {
    return fromBytes<T>(await this.#bytes(key));
  }

  async has(key: string): Promise<boolean> {
    return (await this.#bytes(key)) !== undefined;
  }

  /** @internal Ends the transaction; what it wants written. */
  end(): Writes {
    this.#ended = true;
    const keys = [...this.#writes.keys()];
    return { keys, values: [...this.#writes.values()], contexts: keys.map((key) => this.#seen.get(key)) };
  }

  #write(key: string, value: Uint8Array | null): void {
    this.#check(key);
    this.#writes.set(key, value);
  }

  async #bytes(key: string): Promise<Found | undefined> {
    this.#check(key);
    const written = this.#writes.get(key);
    if (written !== undefined) return written ?? undefined;
    const { values, context } = await this.#read(key);
    // The first read counts: what was decided from it must not be taken to have seen more.
    if (!this.#seen.has(key)) this.#seen.set(key, context);
    return values[0]?.value;
  }

  #check(key: string): void {
    if (this.#ended) {
      const remedy = 'await everything that belongs to it inside the callback';
      throw new GossipStoreError('TransactionEnded', `this transaction has ended; ${remedy}`);
    }
    checkKey(key, this.#limits);
  }
}
