// The entries on the screen, newest first. A change touches its own row and nothing else, however long the list is.
import { element } from './dom.js';
import type { Item } from './item.js';
import type { Person } from './person.js';
import { Row, type RowActions } from './row.js';

/** How long a row shows that it came from someone else, as the style sheet has it. */
const FLASH_MS = 1_600;
/** More rows than this at a time are no news but a list that arrives, and each is an animation. */
const FLASHES_MAX = 20;

/**
 * Rows are held in groups of this size, and at most twice as many. The browser lays out only groups near the screen (the style
 * sheet says so) and keeps watch on each: with every row watched by itself, a frame of 10,000 rows takes half a second.
 */
const GROUP_ROWS = 50;

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
  #flashes = 0;
  /** Who edits which entries elsewhere. */
  #editors: ReadonlyMap<string, readonly Person[]> = new Map();

  /**
   * @param root the element with the role `list`
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
      this.#insert(row, this.#elementAt(index), this.#elementAt(index - 1));
      this.#keys.splice(index, 0, key);
      this.#rows.set(key, row);
      row.showEditors(this.#editors.get(key) ?? []);
    }
    row.update(item, options.conflict);
    if (options.remote) this.#flash(row);
    this.changed();
  }

  /** The entry under `key` is gone. */
  remove(key: string): void {
    if (this.#rows.get(key)?.markGone() === true) this.#drop(key);
    else this.changed();
  }

  /** Shows who edits which entries elsewhere. */
  showEditors(editors: ReadonlyMap<string, readonly Person[]>): void {
    const before = this.#editors;
    this.#editors = editors;
    for (const key of new Set([...before.keys(), ...editors.keys()])) {
      this.#rows.get(key)?.showEditors(editors.get(key) ?? []);
    }
  }

  /** How many rows are on the screen. */
  get size(): number {
    return this.#rows.size;
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
    const group = row.element.parentElement;
    row.element.remove();
    if (group?.childElementCount === 0) group.remove();
    if (held) {
      const neighbour = this.#keys[index - 1] ?? this.#keys[index];
      (neighbour === undefined ? this.emptied : this.#rows.get(neighbour))?.focus();
    }
    this.changed();
  }

  #flash(row: Row): void {
    if (this.#flashes === FLASHES_MAX) return;
    this.#flashes += 1;
    setTimeout(() => {
      this.#flashes -= 1;
    }, FLASH_MS);
    row.flash();
  }

  #elementAt(index: number): HTMLElement | undefined {
    return this.#rows.get(this.#keys[index] ?? '')?.element;
  }

  /** Puts a row on the screen, between its neighbours. */
  #insert({ element: row }: Row, above: HTMLElement | undefined, below: HTMLElement | undefined): void {
    const [upper, lower] = [above?.parentElement, below?.parentElement];
    if (lower && (lower === upper || lower.childElementCount < GROUP_ROWS)) {
      lower.insertBefore(row, below ?? null);
      if (lower.childElementCount > 2 * GROUP_ROWS) this.#split(lower);
    } else if (upper && upper.childElementCount < GROUP_ROWS) {
      upper.append(row);
    } else {
      this.root.insertBefore(element('div', { class: 'group', role: 'presentation' }, row), lower ?? null);
    }
  }

  #split(group: Element): void {
    const other = element('div', { class: 'group', role: 'presentation' });
    const rows = [...group.children];
    const held = rows.findIndex((row) => row.contains(document.activeElement));
    // What is moved loses the focus, and who types in it the editor: that half stays.
    if (held < GROUP_ROWS) {
      other.append(...rows.slice(GROUP_ROWS));
      group.after(other);
    } else {
      other.append(...rows.slice(0, GROUP_ROWS));
      group.before(other);
    }
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
