/**
 * Changes that a consumer has not taken yet, kept once a key: a later change of the key takes the place of the earlier, keeps its
 * `previous`, and moves to the end. A key that came and went in between is not told of. So at most the keys wait in which the store
 * differs from what the consumer knows; the buffer cannot grow beyond that however slow the consumer is.
 */
import type { ChangedEvent, Found } from './host.js';

/** How one key reads now, and read before as far as the consumer was told. */
export interface WaitingChange {
  readonly value: Found | undefined;
  readonly previous: Found | undefined;
  readonly origin: 'local' | 'remote';
}

export class ChangeBuffer {
  readonly #waiting = new Map<string, WaitingChange>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes what of an event is wanted. */
  push({ keys, values, previous, origins }: ChangedEvent, isWanted: (key: string) => boolean): void {
    for (const [at, key] of keys.entries()) {
      if (!isWanted(key)) continue;
      const earlier = this.#waiting.get(key);
      const before = earlier ? earlier.previous : previous[at];
      const value = values[at];
      this.#waiting.delete(key);
      if (earlier && before === undefined && value === undefined) continue;
      this.#waiting.set(key, { value, previous: before, origin: origins[at] ?? 'remote' });
    }
  }

  /** The change that has waited longest. */
  take(): readonly [key: string, change: WaitingChange] | undefined {
    const [first] = this.#waiting;
    if (first) this.#waiting.delete(first[0]);
    return first;
  }

  clear(): void {
    this.#waiting.clear();
  }
}
