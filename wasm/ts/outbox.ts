/**
 * The calls of this tab on their way to whoever has the store: in their order, and once more to the next if that one does not answer.
 *
 * A write that may be asked for twice has a name of its own, by which it is known if it was carried out the first time.
 */
import type { Failure, Reply, Request } from './host.js';
import type { Asked, TabId } from './tab-messages.js';

/**
 * How many named writes wait for their replies: whoever has the store remembers so many numbers back (`CALLS_WAITING_MAX` in core; this
 * must not be more). What comes after them waits here, the reads too, so that they see what was written before.
 */
const NAMED_WAITING_MAX = 64;

/** One call. */
export interface Outgoing {
  readonly id: number;
  readonly request: Asked;
}

interface Waiting {
  readonly id: number;
  request: Asked;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (failure: Failure) => void;
}

/** Where calls go at present: to whom, and whether they are to be named. */
export interface Route {
  readonly named: () => boolean;
  readonly send: (call: Outgoing) => void;
}

export class Outbox {
  readonly #caller: TabId;
  /** Not sent yet, in order. */
  #queue: Waiting[] = [];
  /** Sent and not answered, in order. */
  readonly #sent = new Map<number, Waiting>();
  /** The numbers of the named ones among those. */
  readonly #named = new Set<number>();
  #nextId = 1;
  #nextNumber = 1;
  #route: Route | undefined;
  #emptied: (() => void)[] = [];

  constructor(caller: TabId) {
    this.#caller = caller;
  }

  get size(): number {
    return this.#queue.length + this.#sent.size;
  }

  ask<R extends Asked>(request: R): Promise<Reply<R>> {
    return new Promise<unknown>((resolve, reject) => {
      this.#queue.push({ id: this.#nextId++, request, resolve, reject });
      this.#flush();
    }) as Promise<Reply<R>>;
  }

  /** From now on calls go this way; `undefined`: they wait. */
  route(route: Route | undefined): void {
    this.#route = route;
    this.#flush();
  }

  /**
   * Nobody will answer what was sent: it is sent again, next. What has no name might be carried out twice, so it fails, unless it only
   * reads.
   */
  sendAgain(failure: Failure): void {
    this.#route = undefined;
    const again: Waiting[] = [];
    for (const waiting of this.#sent.values()) {
      if (isWrite(waiting.request) && !waiting.request.carried) waiting.reject(failure);
      else again.push(waiting);
    }
    this.#sent.clear();
    this.#named.clear();
    this.#queue = [...again, ...this.#queue];
    this.#tellEmptied();
  }

  replied(id: number, reply: unknown): void {
    this.#take(id)?.resolve(reply);
    this.#flush();
  }

  failed(id: number, failure: Failure): void {
    this.#take(id)?.reject(failure);
    this.#flush();
  }

  /** Nobody will ever answer. */
  failAll(failure: Failure): void {
    const all = [...this.#sent.values(), ...this.#queue];
    this.#sent.clear();
    this.#named.clear();
    this.#queue = [];
    for (const waiting of all) waiting.reject(failure);
    this.#tellEmptied();
  }

  /** Resolves when nothing waits. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#sent.get(id);
    this.#sent.delete(id);
    if (waiting && isWrite(waiting.request) && waiting.request.carried) this.#named.delete(waiting.request.carried.n);
    // After the callers' own turn, in which they may ask for more.
    if (this.size === 0) queueMicrotask(() => this.#tellEmptied());
    return waiting;
  }

  #tellEmptied(): void {
    if (this.size > 0) return;
    for (const emptied of this.#emptied.splice(0)) emptied();
  }

  #flush(): void {
    for (let route = this.#route; route; route = this.#route) {
      const [next] = this.#queue;
      if (!next) return;
      if (isWrite(next.request) && (next.request.carried || route.named())) {
        const n = next.request.carried?.n ?? this.#nextNumber;
        const [oldest = n] = this.#named;
        if (n - oldest >= NAMED_WAITING_MAX) return;
        if (!next.request.carried) {
          this.#nextNumber += 1;
          next.request = { ...next.request, carried: { caller: this.#caller, n } };
        }
        this.#named.add(n);
      }
      this.#queue.shift();
      this.#sent.set(next.id, next);
      route.send({ id: next.id, request: next.request });
    }
  }
}

function isWrite(request: Request): request is Extract<Request, { call: 'transact' | 'clear' }> {
  return request.call === 'transact' || request.call === 'clear';
}
