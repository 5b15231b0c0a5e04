// The entries on the screen, newest first. A change touches its own row and nothing else, however long the list is.
import type { Item } from './item.js';
import { Row, type RowActions } from './row.js';

export interface Counts {
  total: number;
  open: number;
  conflicts: number;
}

export class List {
  readonly #rows = new Map<string, Row>();
  /** Ascending; the screen shows them from the end. */
  readonly #keys: string[] = [];
  readonly #actions: RowActions;

  /**
   * @param root the `ul`
   * @param emptied where the focus goes when the last row leaves
   * @param changed called after each change, for what counts the entries
   */
  constructor(
    private readonly root: HTMLElement,
    actions: Omit<RowActions, 'dropped'>,
    private readonly emptied: HTMLElement,
    private readonly changed: () => void,
  ) {
    this.#actions = { ...actions, dropped: (key) => this.#drop(key) };
  }

  /** The entry under `key` reads like this now. */
  put(key: string, item: Item, options: { conflict: boolean; remote: boolean }): void {
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = new Row(key, item, this.#actions);
      const index = this.#position(key);
      const below = this.#keys[index - 1];
      this.#keys.splice(index, 0, key);
      this.#rows.set(key, row);
      this.root.insertBefore(row.element, below === undefined ? null : (this.#rows.get(below)?.element ?? null));
    }
    row.update(item, options.conflict);
    if (options.remote) row.flash();
    this.changed();
  }

  /** The entry under `key` is gone. */
  remove(key: string): void {
    if (this.#rows.get(key)?.markGone() === true) this.#drop(key);
    else this.changed();
  }

  get(key: string): Item | undefined {
    return this.#rows.get(key)?.item;
  }

  /** The keys of ticked entries; those in conflict are left for a person to decide. */
  ticked(): string[] {
    return this.#keys.filter((key) => {
      const row = this.#rows.get(key);
      return row?.item.done === true && !row.conflict && !row.gone;
    });
  }

  counts(): Counts {
    const counts: Counts = { total: 0, open: 0, conflicts: 0 };
    for (const row of this.#rows.values()) {
      if (row.gone) continue;
      counts.total += 1;
      if (!row.item.done) counts.open += 1;
      if (row.conflict) counts.conflicts += 1;
    }
    return counts;
  }

  #drop(key: string): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    const index = this.#position(key);
    const held = row.element.contains(document.activeElement);
    this.#rows.delete(key);
    this.#keys.splice(index, 1);
    row.element.remove();
    if (held) {
      const neighbour = this.#keys[index - 1] ?? this.#keys[index];
      (neighbour === undefined ? this.emptied : this.#rows.get(neighbour))?.focus();
    }
    this.changed();
  }

  /** Where `key` is or would be in `#keys`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
