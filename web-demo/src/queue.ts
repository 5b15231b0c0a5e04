// The keys that wait to be drawn, each once however often it changed. The newest comes first: it stands at the top of the list,
// where a person looks, and what follows is then put below it and moves nothing.

export class Queue {
  /** Each with whether someone else changed it last. */
  readonly #waiting = new Map<string, boolean>();
  /** Ascending, so that the newest is taken from the end; made anew when keys were added. */
  #order: string[] = [];
  #ordered = true;

  get size(): number {
    return this.#waiting.size;
  }

  add(key: string, remote: boolean): void {
    if (!this.#waiting.has(key)) this.#ordered = false;
    this.#waiting.set(key, remote);
  }

  take(): { key: string; remote: boolean } | undefined {
    if (!this.#ordered) this.#order = [...this.#waiting.keys()].sort();
    this.#ordered = true;
    const key = this.#order.pop();
    if (key === undefined) return undefined;
    const remote = this.#waiting.get(key) === true;
    this.#waiting.delete(key);
    return { key, remote };
  }
}
