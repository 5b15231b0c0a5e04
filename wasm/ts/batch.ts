/** Many writes in one call: checked as a whole, cut into transactions, handed over in turns. */
import type { Limits, Writes } from './host.js';
import { Packer } from './packed-values.js';

/**
 * Bytes of one transaction of a batch. Gossip carries a transaction of up to 48 KiB to every peer at once; a longer one is only
 * announced, and each peer fetches it in a session. The difference is room for what the transaction says about itself.
 */
const TRANSACTION_BYTES = 40 * 1024;

/**
 * What a write takes beside key and value: its name, its time, and what it removes. A guess that suits keys with one or two
 * siblings; a transaction that turns out longer than gossip carries still arrives whole, by a session.
 */
const WRITE_OVERHEAD_BYTES = 48;

/** Transactions of a batch that wait to become durable at once: enough that storage can flush some of them together. */
const TRANSACTIONS_IN_FLIGHT_MAX = 8;

/** How many items are encoded between two looks at the clock, which takes as long as to encode one. */
const ITEMS_PER_LOOK = 16;

/** How long a batch may hold the tab's thread before it lets input and drawing have their turn: half a frame of the screen. */
const TURN_MS = 8;

export interface BatchOptions {
  /** Stops between two transactions. What was written stays written. */
  signal?: AbortSignal | undefined;
  /** Called as writes become durable. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Checks an item, the `at`th; adds its value, or that there is none, to `values` and gives its key. */
export type ToWrite<T> = (item: T, at: number, values: Packer) => string;

/**
 * Writes all items, in order. Resolves when all are durable. If one cannot become a write, its error is thrown before anything
 * is written; if a transaction fails, the rest is not begun.
 * @param transact hands one transaction over; resolves when it is durable
 */
export async function writeBatch<T>(
  items: Iterable<T>,
  toWrite: ToWrite<T>,
  limits: Limits,
  transact: (writes: Writes) => Promise<undefined>,
  { signal, onProgress }: BatchOptions,
): Promise<void> {
  const turn = new Turn();
  signal?.throwIfAborted();
  const cutter = new Cutter(limits);
  for (const item of items) {
    cutter.add(item, toWrite);
    if (cutter.count % ITEMS_PER_LOOK === 0 && turn.isOver()) {
      await turn.next();
      signal?.throwIfAborted();
    }
  }

  const inFlight: { readonly count: number; readonly durable: Promise<undefined> }[] = [];
  let done = 0;
  const awaitOldest = async () => {
    const oldest = inFlight.shift();
    if (!oldest) return;
    await oldest.durable;
    done += oldest.count;
    onProgress?.(done, cutter.count);
  };
  try {
    for (const transaction of cutter.finish()) {
      if (inFlight.length === TRANSACTIONS_IN_FLIGHT_MAX) await awaitOldest();
      if (turn.isOver()) await turn.next();
      signal?.throwIfAborted();
      const durable = transact(transaction);
      // Awaited in its turn; until then a failure must not count as unhandled.
      durable.catch(() => {});
      inFlight.push({ count: transaction.keys.length, durable });
    }
    while (inFlight.length > 0) await awaitOldest();
  } finally {
    await Promise.allSettled(inFlight.map(({ durable }) => durable));
  }
}

/** Cuts writes, in order, into as few transactions as fit gossip. A write that is longer by itself is alone in its own. */
export class Cutter {
  readonly #limits: Limits;
  readonly #values = new Packer(TRANSACTION_BYTES);
  #keys: string[] = [];
  #bytes = 0;
  #cut: Writes[] = [];
  /** How many writes there are. */
  count = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  add<T>(item: T, toWrite: ToWrite<T>): void {
    const key = toWrite(item, this.count, this.#values);
    this.count += 1;
    // A key's UTF-16 length stands for its bytes: exact for ASCII, and the room left covers most others.
    const size = key.length + this.#values.last + WRITE_OVERHEAD_BYTES;
    const isFull = this.#bytes + size > TRANSACTION_BYTES || this.#keys.length === this.#limits.transactionWrites;
    if (this.#keys.length > 0 && isFull) this.#end(1);
    this.#keys.push(key);
    this.#bytes += size;
  }

  /** The transactions. */
  finish(): Writes[] {
    if (this.#keys.length > 0) this.#end(0);
    const cut = this.#cut;
    this.#cut = [];
    return cut;
  }

  /** Ends a transaction before the last so many values. */
  #end(stay: number): void {
    this.#cut.push({ keys: this.#keys, values: this.#values.take(stay) });
    this.#keys = [];
    this.#bytes = 0;
  }
}

/** The time for which a batch holds the thread. A batch that needs one turn only is handed over before its call returns. */
class Turn {
  #began = performance.now();

  isOver(): boolean {
    return performance.now() - this.#began > TURN_MS;
  }

  /** Lets the page's other tasks run. */
  async next(): Promise<void> {
    const { scheduler } = globalThis as { scheduler?: { yield?: () => Promise<void> } };
    await (scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve, 0)));
    this.#began = performance.now();
  }
}
