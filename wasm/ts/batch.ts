/** Many writes in one call: checked as a whole, cut into transactions, handed over in turns. */
import type { Limits, Writes } from './host.js';

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

/** How long a batch may hold the tab's thread before it lets input and drawing have their turn: half a frame of the screen. */
const TURN_MS = 8;

export interface BatchOptions {
  /** Stops between two transactions. What was written stays written. */
  signal?: AbortSignal | undefined;
  /** Called as writes become durable. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface Write {
  readonly key: string;
  /** `null` deletes. */
  readonly value: Uint8Array | null;
}

/**
 * Writes all items, in order. Resolves when all are durable. If one cannot become a write, its error is thrown before anything
 * is written; if a transaction fails, the rest is not begun.
 * @param toWrite checks and encodes one item, the `at`th
 * @param transact hands one transaction over; resolves when it is durable
 */
export async function writeBatch<T>(
  items: Iterable<T>,
  toWrite: (item: T, at: number) => Write,
  limits: Limits,
  transact: (writes: Writes) => Promise<undefined>,
  { signal, onProgress }: BatchOptions,
): Promise<void> {
  const turn = new Turn();
  signal?.throwIfAborted();
  const writes: Write[] = [];
  for (const item of items) {
    writes.push(toWrite(item, writes.length));
    if (turn.isOver()) {
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
    onProgress?.(done, writes.length);
  };
  try {
    for (const transaction of transactions(writes, limits)) {
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

/** The writes in order, in as few transactions as fit gossip. A write that is longer by itself is alone in its own. */
export function* transactions(writes: readonly Write[], limits: Limits): Generator<Writes> {
  let keys: string[] = [];
  let values: (Uint8Array | null)[] = [];
  let bytes = 0;
  for (const { key, value } of writes) {
    // A key's UTF-16 length stands for its bytes: exact for ASCII, and the room left covers most others.
    const size = key.length + (value?.length ?? 0) + WRITE_OVERHEAD_BYTES;
    if (keys.length > 0 && (bytes + size > TRANSACTION_BYTES || keys.length === limits.transactionWrites)) {
      yield { keys, values };
      keys = [];
      values = [];
      bytes = 0;
    }
    keys.push(key);
    values.push(value);
    bytes += size;
  }
  if (keys.length > 0) yield { keys, values };
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
