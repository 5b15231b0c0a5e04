/** What room the browser gives: how much, and whether for good. */
import type { StorageStatus } from './host.js';

/** How often at most the browser is asked while there is writing: it looks through all that is stored for an answer. */
const ASK_INTERVAL_MS = 10_000;

export class Room {
  readonly #changed: () => void;
  #persisted = false;
  #quotaBytes: number | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #hasWritten = false;

  /** @param changed called when the answers have become others */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#ask();
  }

  status(): Pick<StorageStatus, 'persisted' | 'quotaBytes'> {
    return { persisted: this.#persisted, ...(this.#quotaBytes !== undefined && { quotaBytes: this.#quotaBytes }) };
  }

  /**
   * Something is being written. With the first write the browser is asked not to throw the data away under pressure: not before, as some
   * ask the person, who should know by then what for.
   */
  written(): void {
    if (!this.#hasWritten) {
      this.#hasWritten = true;
      manager()
        ?.persist?.()
        .then((persisted) => this.#learn({ persisted }), nothing);
    }
    if (performance.now() - this.#askedAt >= ASK_INTERVAL_MS) this.#ask();
  }

  #ask(): void {
    this.#askedAt = performance.now();
    const storage = manager();
    storage?.persisted?.().then((persisted) => this.#learn({ persisted }), nothing);
    storage?.estimate?.().then(({ quota }) => this.#learn({ quotaBytes: quota }), nothing);
  }

  #learn({
    persisted = this.#persisted,
    quotaBytes = this.#quotaBytes,
  }: {
    persisted?: boolean;
    quotaBytes?: number | undefined;
  }): void {
    if (persisted === this.#persisted && quotaBytes === this.#quotaBytes) return;
    this.#persisted = persisted;
    this.#quotaBytes = quotaBytes;
    this.#changed();
  }
}

/** Pages that are not secure have none, and older browsers not all of it. */
function manager(): Partial<StorageManager> | undefined {
  return globalThis.navigator?.storage;
}

/** What the browser does not say is left open. */
function nothing(): void {}
