// The bar over the list while many entries arrive: first they are received, then they are drawn.
import type { Status } from '@gossipstore/core';
import type { Progress } from './network.js';

/** Fewer than this are there before anybody could look at a bar. */
const REST_MIN = 100;
/** So long after the last entry was drawn, no more are on their way: the store takes a moment between received and visible. */
const SETTLE_MS = 250;

export class Arrival {
  /** What comes from each peer. */
  readonly #receiving = new Map<string, Progress>();
  #settling: ReturnType<typeof setTimeout> | undefined;
  #visible = false;

  /**
   * @param drawn how many entries there are, and how many of them are on the screen
   * @param show told of each change: how far it is from 0 to 1, or `undefined` when nothing is on its way
   */
  constructor(
    private readonly drawn: () => Progress,
    private readonly show: (fraction: number | undefined) => void,
  ) {}

  received(peer: string, { done, expected }: Progress): void {
    this.#receiving.set(peer, { done, expected });
    // What was received is drawn next.
    if (done >= expected) {
      this.#receiving.delete(peer);
      this.drawing();
    } else this.#update();
  }

  /** A peer that has left, or has nothing more for us, sends nothing more. */
  status({ peers }: Pick<Status, 'peers'>): void {
    const sending = new Set(peers.filter(({ inSync }) => !inSync).map(({ id }) => id));
    for (const peer of this.#receiving.keys()) if (!sending.has(peer)) this.#receiving.delete(peer);
    this.#update();
  }

  /** More is to be drawn than fits into one slice. */
  drawing(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.#update();
    }, SETTLE_MS);
    this.#update();
  }

  #update(): void {
    const now = this.#now();
    if (now === undefined) {
      if (this.#visible) this.show(undefined);
      this.#visible = false;
    } else if (this.#visible || now.expected - now.done >= REST_MIN) {
      this.#visible = true;
      this.show(Math.min(1, now.done / Math.max(1, now.expected)));
    }
  }

  #now(): Progress | undefined {
    if (this.#receiving.size > 0) {
      const sum = { done: 0, expected: 0 };
      for (const { done, expected } of this.#receiving.values()) {
        sum.done += done;
        sum.expected += expected;
      }
      return sum;
    }
    return this.#settling === undefined ? undefined : this.drawn();
  }
}
