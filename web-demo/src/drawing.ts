// Brings what the store tells onto the screen without ever holding up the page: changes are taken in portions, wait once a key,
// and are drawn in slices.
import { Queue } from './queue.js';
import { Slices } from './slices.js';

/** How many changes are taken from the store at a time; each costs some microseconds, for decoding. */
const TAKES_MAX = 1_000;
/**
 * How many keys are drawn at a time, which is how many reads are under way: not one after the other, as the store may be in
 * another tab one day, and few enough to end with the slice.
 */
const DRAWS_MAX = 32;

export interface Drawn {
  key: string;
  /** Whether someone else changed it. */
  remote: boolean;
}

export class Drawing {
  readonly #queue = new Queue();
  /** How many keys were taken since the list was opened. */
  #taken = 0;
  #drawing = false;

  /**
   * @param draw shows what the store holds under a key now; must not reject
   * @param goesOn told when there is more than fits into one slice
   */
  constructor(
    private readonly draw: (what: Drawn) => Promise<void>,
    private readonly goesOn: () => void,
    private readonly slices: Slices = new Slices(),
  ) {}

  /** How many keys wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Has everything drawn that comes from a source, until that ends. What is not taken yet waits in the store. */
  async take<T>(source: AsyncIterable<T>, what: (from: T) => Drawn): Promise<void> {
    for await (const from of source) {
      const { key, remote } = what(from);
      this.#queue.add(key, remote);
      this.#taken += 1;
      void this.#drawAll();
      if (this.#taken % TAKES_MAX === 0) await this.slices.next();
    }
  }

  /** Draws what waits, from the next frame on. */
  async #drawAll(): Promise<void> {
    if (this.#drawing) return;
    this.#drawing = true;
    let seen = this.#taken - 1;
    while (this.#queue.size > 0) {
      await this.slices.next();
      // While whole portions are taken it is not known yet which key is the newest.
      const isPortion = this.#taken - seen >= TAKES_MAX;
      seen = this.#taken;
      if (isPortion) continue;
      while (this.#queue.size > 0 && !this.slices.over) await this.#drawSome();
      if (this.#queue.size > 0) this.goesOn();
    }
    this.#drawing = false;
  }

  async #drawSome(): Promise<void> {
    const drawn: Promise<void>[] = [];
    while (drawn.length < DRAWS_MAX && !this.slices.over) {
      const next = this.#queue.take();
      if (next === undefined) break;
      drawn.push(this.draw(next));
    }
    await Promise.all(drawn);
  }
}
