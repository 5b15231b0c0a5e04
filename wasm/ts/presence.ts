/** Who has the store open at present, in which tab, and what each says of itself: a name, a cursor, what is being edited. */
import { GossipStoreError } from './errors.js';
import type { Calls, EngineHost, Limits, Presented } from './host.js';
import { fromBytes, toBytes } from './payload.js';

/** Somebody who has the store open in another tab, here or elsewhere. */
export interface Present<P = unknown> {
  /** The tab, for as long as it has the store open. */
  readonly id: string;
  readonly value: P;
}

/**
 * Never stored. Others see what is set within a moment, as long as they are connected, and until it is set anew, the tab is closed, or it
 * has not been heard of for half a minute. It comes from a member, and no more is known about it: a member can speak for another.
 */
export class Presence<P = unknown> {
  /** This tab, as others see it. */
  readonly id: string;
  readonly #limits: Limits;
  readonly #host: EngineHost;
  readonly #listeners = new Set<() => void>();
  readonly #known = new Map<string, Present<P>>();
  #others: readonly Present<P>[] = [];
  #value: P | undefined;

  /** @param host has been opened, with this reply. */
  constructor(host: EngineHost, { limits, presences }: Calls['open']['reply']) {
    this.id = randomId();
    this.#host = host;
    this.#limits = limits;
    const ids = presences.map(([id]) => id);
    this.#note(ids, presences);
    host.subscribe((event) => {
      if (event.event === 'presence' && this.#note(event.present, event.changed)) this.#tell();
    });
  }

  /** What was set last. */
  get value(): P | undefined {
    return this.#value;
  }

  /** The others, in an order that stays: the same array until somebody comes, goes or says something else. */
  get others(): readonly Present<P>[] {
    return this.#others;
  }

  /**
   * Says something to all others, up to 4 KiB of it; `undefined`: that this tab is not there, as before the first time. Nobody hears it when
   * the store is closed, which is no error: it may be said while the page is being left.
   */
  set(value: P | undefined): void {
    const bytes = value === undefined ? undefined : toBytes(value);
    const max = this.#limits.presenceBytes;
    if (bytes && bytes.length > max) {
      const remedy = 'store the rest under a key, and say only which';
      const message = `what is said takes ${bytes.length} bytes; at most ${max} are allowed: ${remedy}`;
      throw new GossipStoreError('ValueTooLarge', message);
    }
    this.#value = value;
    // It fails only when there is nobody to tell others any more.
    this.#host.call({ call: 'present', id: this.id, value: bytes }).catch(() => {});
  }

  /** Calls `listener` whenever `others` has changed, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    // One of its own, so that the same function may be there twice.
    const call = () => listener();
    this.#listeners.add(call);
    return () => this.#listeners.delete(call);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        // It is not the next listener's, nor the store's; it is shown as what nobody has caught.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Returns whether that was news. */
  #note(present: readonly string[], changed: readonly Presented[]): boolean {
    const others = changed.filter(([id]) => id !== this.id);
    const read = others.map(([id, value]) => [id, { id, value: fromBytes<P>(value) }] as const);
    const isNews = keepPresent(this.#known, present, read);
    if (isNews) this.#others = [...this.#known.values()];
    return isNews;
  }
}

/** Takes note of what has changed, and forgets those who are not present any more. Returns whether there was anything to do. */
export function keepPresent<T>(
  known: Map<string, T>,
  present: readonly string[],
  changed: readonly (readonly [id: string, value: T])[],
): boolean {
  let isNews = changed.length > 0;
  for (const [id, value] of changed) known.set(id, value);
  const ids = new Set(present);
  for (const id of known.keys()) {
    if (ids.has(id)) continue;
    known.delete(id);
    isNews = true;
  }
  return isNews;
}

/** 64 random bits, as the engine writes them. */
function randomId(): string {
  const digits = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0'));
  return digits.join('');
}
