/** A live stream of changes for a consumer that may be slower than they come. */
import { ChangeBuffer } from './change-buffer.js';
import type { ChangedEvent } from './host.js';
import { fromBytes } from './payload.js';

/** How one key reads now and read before. */
export interface Change<V = unknown> {
  readonly key: string;
  /** What the key reads now; `undefined` when it is gone. */
  readonly value: V | undefined;
  /** What it read before this change, as far as this consumer was told. */
  readonly previous: V | undefined;
  /** Whether a call on this device caused the (last) change, or a peer did. */
  readonly origin: 'local' | 'remote';
}

/** A stream as the store feeds it, whatever its consumer takes the values for. */
export interface LiveStream {
  readonly prefix: string;
  /** Whether nothing more will come. */
  readonly ended: boolean;
  /** Takes what of an event is under the prefix. */
  push(event: ChangedEvent): void;
  /** Ends the stream once what waits was taken. */
  end(): void;
  /** Ends the stream at once: the consumer's next step throws `reason`. */
  fail(reason: unknown): void;
}

type Step<V> = IteratorResult<Change<V>, undefined>;

interface Asking<V> {
  readonly resolve: (step: Step<V>) => void;
  readonly reject: (error: unknown) => void;
}

/** The changes under a prefix, from the moment it is made until it is left (`return`, which `break` calls), aborted or closed. */
export class ChangeStream<V> implements LiveStream, AsyncIterableIterator<Change<V>, undefined, undefined> {
  readonly prefix: string;
  readonly #leave: (stream: LiveStream) => void;
  readonly #waiting = new ChangeBuffer();
  /** Consumers that asked before there was anything. */
  readonly #asking: Asking<V>[] = [];
  readonly #signal: AbortSignal | undefined;
  #ended = false;
  /** Told once, to whoever asks next after the end. */
  #error: { readonly reason: unknown } | undefined;

  constructor(prefix: string, signal: AbortSignal | undefined, leave: (stream: LiveStream) => void) {
    this.prefix = prefix;
    this.#leave = leave;
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(event: ChangedEvent): void {
    if (this.#ended) return;
    this.#waiting.push(event, (key) => key.startsWith(this.prefix));
    while (this.#waiting.size > 0) {
      const asking = this.#asking.shift();
      if (!asking) break;
      asking.resolve(this.#take());
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#leave(this);
    for (const asking of this.#asking.splice(0)) this.#answer(asking);
  }

  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#waiting.clear();
    this.#error = { reason };
    this.end();
  }

  next(): Promise<Step<V>> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size > 0 || this.#ended) this.#answer({ resolve, reject });
      else this.#asking.push({ resolve, reject });
    });
  }

  return(): Promise<Step<V>> {
    this.#waiting.clear();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #abort = (): void => this.fail(this.#signal?.reason);

  #answer({ resolve, reject }: Asking<V>): void {
    const error = this.#error;
    this.#error = undefined;
    if (this.#waiting.size > 0) resolve(this.#take());
    else if (error) reject(error.reason);
    else resolve({ done: true, value: undefined });
  }

  /** The oldest change that waits. Values are decoded here, so that what is coalesced away costs nothing. */
  #take(): IteratorYieldResult<Change<V>> {
    const first = this.#waiting.take();
    if (!first) throw new Error('nothing waits');
    const [key, { value, previous, origin }] = first;
    return { done: false, value: { key, value: fromBytes<V>(value), previous: fromBytes<V>(previous), origin } };
  }
}
