// Who else has the list open: a chip for each, with the name that they give themselves; and what this person says to them.
import type { Presence } from '@gossipstore/core';
import { element } from './dom.js';
import { called, cleanName, hueOf, type Person, parsePerson } from './person.js';

const STORED_NAME = 'gossipstore-demo name';

/** More chips than this are counted instead: they are to be seen at a glance. */
const CHIPS_MAX = 8;

export class People {
  #name = storage()?.getItem(STORED_NAME) ?? '';
  #editing: string | undefined;

  /**
   * @param list where the chips are shown
   * @param field in which this person gives a name
   * @param edited called with who edits which entries
   */
  constructor(
    private readonly presence: Presence,
    private readonly list: HTMLElement,
    field: HTMLInputElement,
    private readonly edited: (editors: Map<string, Person[]>) => void,
  ) {
    field.value = this.#name;
    const take = () => {
      this.#name = cleanName(field.value);
      field.value = this.#name;
      keepName(this.#name);
      this.#say();
    };
    field.addEventListener('blur', take);
    field.addEventListener('keydown', ({ key }) => {
      if (key !== 'Enter') return;
      // A window without the focus is told of no blur.
      take();
      field.blur();
    });
    presence.subscribe(() => this.#show());
    this.#show();
    this.#say();
  }

  /** This person edits an entry from now on, or none. */
  edits(key: string | undefined): void {
    this.#editing = key;
    this.#say();
  }

  #say(): void {
    this.presence.set({ name: this.#name, ...(this.#editing !== undefined && { editing: this.#editing }) });
  }

  #show(): void {
    const others = this.presence.others.map(({ id, value }) => ({ id, ...parsePerson(value) }));
    const chips = others.slice(0, CHIPS_MAX).map((person) => {
      const name = called(person);
      const dot = element('span', { class: 'person-dot', 'aria-hidden': 'true' }, name.slice(0, 1).toUpperCase());
      dot.style.setProperty('--hue', String(hueOf(person.id)));
      return element('li', { class: 'person' }, dot, element('span', { class: 'person-name' }, name));
    });
    const more = others.length - chips.length;
    if (more > 0) chips.push(element('li', { class: 'person' }, `and ${more} more`));
    this.list.replaceChildren(...chips);
    const editors = new Map<string, Person[]>();
    for (const person of others) {
      if (person.editing !== undefined) editors.set(person.editing, [...(editors.get(person.editing) ?? []), person]);
    }
    this.edited(editors);
  }
}

function keepName(name: string): void {
  try {
    storage()?.setItem(STORED_NAME, name);
  } catch {
    // There is no room; it is asked for again.
  }
}

/** Where the name is kept for all lists; a browser that keeps nothing for this page refuses even to be asked. */
function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
