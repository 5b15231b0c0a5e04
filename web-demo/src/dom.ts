// Elements are made here and nowhere else, always from text: what a peer wrote can never become markup.

type Child = Node | string;
type Attributes = Record<string, string | boolean | undefined>;

/** `element('p', { class: 'hint' }, 'text', other)`. `true` sets an empty attribute, `false` and `undefined` none. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** The element of the page with this id; the page and its script belong together, so a missing one is a defect of ours. */
export function byId<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html lacks a ${type.name} with the id '${id}'`);
  return found;
}

/** Sets the text only when it differs: screen readers announce a live region again otherwise. */
export function setText(target: Node, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
