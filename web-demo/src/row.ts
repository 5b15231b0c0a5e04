// One entry on the screen. It is made once and then only changed, so that focus, selection and what a person is typing stay
// where they are while changes of others arrive.
import type { Siblings } from '@gossipstore/core';
import { element, setText } from './dom.js';
import { cleanText, type Item, parseItem, TEXT_CHARS_MAX } from './item.js';
import { type Person, whoEdits } from './person.js';

/** What a row asks for; the page carries it out and tells the person when it fails. Only `siblings` rejects. */
export interface RowActions {
  /** The concurrent values of an entry, and the context that supersedes exactly those. */
  siblings(key: string): Promise<Siblings>;
  /** Writes an entry, and says whether it is saved; with a context it supersedes what was seen then, and what came later stays beside it as a conflict. */
  save(key: string, item: Item, context?: Siblings['context']): Promise<boolean>;
  /** Keeps one version under the entry's own key and makes new entries of the others; all of that, or nothing. */
  keepAll(key: string): Promise<void>;
  remove(key: string, item: Item): Promise<void>;
  /** The text of an entry is being edited from now on, or of none. */
  editing(key: string | undefined): void;
  /** The row was deleted elsewhere while it was being edited, and the editing is over. */
  dropped(key: string): void;
}

export class Row {
  readonly element: HTMLElement;
  #item: Item;
  #conflict = false;
  /** Deleted elsewhere, but kept on the screen because someone is editing it here. */
  #gone = false;
  #editor: HTMLInputElement | undefined;
  #choice: HTMLElement | undefined;

  readonly #tick = element('input', { type: 'checkbox', class: 'tick' });
  readonly #text = element('button', { type: 'button', class: 'text' });
  readonly #mark = element('button', { type: 'button', class: 'mark', 'aria-expanded': 'false', hidden: true });
  readonly #editors = element('span', { class: 'editing', hidden: true });
  readonly #remove = element('button', { type: 'button', class: 'remove' }, '×');
  readonly #hint = element('p', { class: 'row-hint', role: 'status', hidden: true });

  constructor(
    readonly key: string,
    item: Item,
    private readonly actions: RowActions,
  ) {
    this.#item = item;
    const parts = [this.#tick, this.#text, this.#editors, this.#mark, this.#remove, this.#hint];
    this.element = element('div', { class: 'row', role: 'listitem', 'data-key': key }, ...parts);
    this.#tick.addEventListener('change', () => {
      void this.#save({ ...this.#item, done: this.#tick.checked });
    });
    this.#text.addEventListener('click', () => (this.#conflict ? this.#toggleChoice() : this.#edit()));
    this.#mark.addEventListener('click', () => this.#toggleChoice());
    this.#remove.addEventListener('click', () => void this.actions.remove(this.key, this.#item));
    this.#show();
  }

  get item(): Item {
    return this.#item;
  }

  get conflict(): boolean {
    return this.#conflict;
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** Takes what the store holds now. Never touches what is being typed: that is told beside it. */
  update(item: Item, conflict: boolean): void {
    const before = this.#item;
    this.#item = item;
    this.#conflict = conflict;
    this.#gone = false;
    this.#show();
    if (this.#editor !== undefined && item.text !== before.text) this.#say(`Changed elsewhere to “${item.text}”`);
    if (this.#choice !== undefined) {
      if (conflict) void this.#fillChoice();
      else this.#closeChoice();
    }
  }

  /** The entry is gone from the store. Returns whether the row may leave the screen now. */
  markGone(): boolean {
    if (this.#editor === undefined) return true;
    this.#gone = true;
    this.#say('Deleted elsewhere. Save to keep your version, Escape to let it go.');
    return false;
  }

  /** Shows who edits the entry elsewhere, if anybody does. */
  showEditors(people: readonly Person[]): void {
    this.#editors.hidden = people.length === 0;
    setText(this.#editors, people.length === 0 ? '' : whoEdits(people));
  }

  focus(): void {
    this.#text.focus();
  }

  /** Shows for a moment that this came from someone else. */
  flash(): void {
    this.element.classList.remove('arrived');
    // Reading the layout would restart the animation at once, but costs a reflow.
    requestAnimationFrame(() => this.element.classList.add('arrived'));
  }

  #show(): void {
    const { text, done } = this.#item;
    setText(this.#text, text);
    this.#text.setAttribute('aria-label', this.#conflict ? `Choose a version of ${text}` : `Edit ${text}`);
    this.#tick.checked = done;
    this.#tick.setAttribute('aria-label', `Tick ${text}`);
    // A tick would supersede the versions that nobody has chosen from yet.
    this.#tick.disabled = this.#conflict;
    this.#remove.setAttribute('aria-label', `Delete ${text}`);
    this.#mark.hidden = !this.#conflict;
    setText(this.#mark, this.#conflict ? 'Conflict' : '');
    this.element.classList.toggle('done', done);
    this.element.classList.toggle('conflict', this.#conflict);
  }

  #say(hint: string | undefined): void {
    this.#hint.hidden = hint === undefined;
    setText(this.#hint, hint ?? '');
  }

  #edit(): void {
    if (this.#editor !== undefined) return;
    // What is seen now is what the edit will supersede. What others write until it is saved stays beside it.
    const seen = this.actions.siblings(this.key);
    seen.catch(() => {}); // Told when the edit is saved.
    const before = this.#item.text;
    const editor = element('input', {
      type: 'text',
      class: 'editor',
      maxlength: String(TEXT_CHARS_MAX),
      'aria-label': `Text of ${before}`,
      enterkeyhint: 'done',
    });
    editor.value = before;
    this.#editor = editor;
    this.#text.replaceWith(editor);
    editor.focus();
    editor.select();
    this.actions.editing(this.key);

    // Taking the editor out of the page blurs it, which would end it a second time.
    let ended = false;
    const end = (how: 'enter' | 'blur' | 'escape') => {
      if (ended) return;
      ended = true;
      const text = cleanText(editor.value);
      // On an entry that was deleted elsewhere, Enter means: keep it all the same.
      const wanted = how !== 'escape' && text !== '' && (text !== before || (this.#gone && how === 'enter'));
      this.#editor = undefined;
      this.actions.editing(undefined);
      editor.replaceWith(this.#text);
      this.#say(undefined);
      if (how !== 'blur') this.#text.focus();
      if (wanted) void this.#saveEdit(text, seen);
      else if (this.#gone) this.actions.dropped(this.key);
    };
    editor.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      // The focus moves to a button, which the same key would press.
      event.preventDefault();
      end(event.key === 'Enter' ? 'enter' : 'escape');
    });
    editor.addEventListener('blur', () => end('blur'));
  }

  async #saveEdit(text: string, seen: Promise<Siblings>): Promise<void> {
    const context = await seen.then(
      ({ context }) => context,
      () => undefined,
    );
    await this.#save({ ...this.#item, text }, context);
  }

  /** The screen may show the wish already; when it did not come true, it shows again what was there. */
  async #save(item: Item, context?: Siblings['context']): Promise<void> {
    if (await this.actions.save(this.key, item, context)) return;
    if (this.#gone) this.actions.dropped(this.key);
    else this.#show();
  }

  #toggleChoice(): void {
    if (this.#choice !== undefined) {
      this.#closeChoice();
      return;
    }
    this.#choice = element('div', { class: 'choice', role: 'group', 'aria-label': 'Versions of this entry' });
    this.element.append(this.#choice);
    this.#mark.setAttribute('aria-expanded', 'true');
    void this.#fillChoice().then(() => this.#choice?.querySelector('button')?.focus());
  }

  #closeChoice(): void {
    const held = this.#choice?.contains(document.activeElement) === true;
    this.#choice?.remove();
    this.#choice = undefined;
    this.#mark.setAttribute('aria-expanded', 'false');
    if (held) this.#text.focus();
  }

  /** Lists the versions. What is chosen supersedes exactly the versions listed at that time. */
  async #fillChoice(): Promise<void> {
    let siblings: Siblings;
    try {
      siblings = await this.actions.siblings(this.key);
    } catch {
      // The store is closed; there is nothing to choose from any more.
      this.#closeChoice();
      return;
    }
    const choice = this.#choice;
    if (choice === undefined) return;
    const focused = choice.contains(document.activeElement)
      ? document.activeElement?.getAttribute('data-version')
      : null;

    const versions = siblings.values.flatMap((sibling) => {
      const item = parseItem(sibling.value);
      return item === undefined ? [] : [{ item, replica: sibling.replica, time: sibling.time }];
    });
    const options = versions.map(({ item, replica, time }) => {
      const keep = element(
        'button',
        { type: 'button', class: 'keep', 'data-version': `${replica}@${Number(time)}` },
        'Keep this',
      );
      keep.setAttribute('aria-label', `Keep ${item.text}`);
      keep.addEventListener('click', () => void this.#save(item, siblings.context));
      return element(
        'li',
        { class: item.done ? 'version done' : 'version' },
        element('span', { class: 'version-text' }, item.text),
        element('span', { class: 'version-origin' }, origin(item, replica, time)),
        keep,
      );
    });
    const all = element('button', { type: 'button', class: 'quiet', 'data-version': 'all' }, 'Keep all as entries');
    all.addEventListener('click', () => void this.actions.keepAll(this.key));
    choice.replaceChildren(
      element('p', { class: 'hint' }, 'This entry was changed in several places at the same time. Which one counts?'),
      element('ul', { class: 'versions' }, ...options),
      all,
    );
    if (focused !== null && focused !== undefined) {
      choice.querySelector<HTMLElement>(`[data-version="${CSS.escape(focused)}"]`)?.focus();
    }
  }
}

/** `ticked · 14:05:09 · replica 3f9a` */
function origin(item: Item, replica: string, time: Date | number): string {
  const at = new Date(time);
  const facts = [
    item.done ? 'ticked' : 'open',
    at.toLocaleString(undefined, { timeStyle: 'medium', dateStyle: 'medium' }),
  ];
  return [...facts, `replica ${replica.slice(0, 4)}`].join(' · ');
}
