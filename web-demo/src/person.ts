// One of those who have the list open, as they say it of themselves. What comes from peers is checked here, once.
import { cleanText } from './item.js';

export interface Person {
  /** Empty for one who has not said. */
  name: string;
  /** The key of the entry that is being edited. */
  editing?: string | undefined;
}

export const NAME_CHARS_MAX = 40;

/** What a person typed as their name: one line, trimmed, bounded. */
export function cleanName(typed: string): string {
  return cleanText(typed).slice(0, NAME_CHARS_MAX);
}

export function parsePerson(value: unknown): Person {
  const { name, editing } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const person: Person = { name: typeof name === 'string' ? cleanName(name) : '' };
  if (typeof editing === 'string') person.editing = editing;
  return person;
}

/** How somebody is called to others. */
export function called({ name }: Person): string {
  return name === '' ? 'Somebody' : name;
}

/** `Ada is editing`, `Ada and Ben are editing` */
export function whoEdits(people: readonly Person[]): string {
  const names = people.map(called);
  const [last] = names.splice(-1);
  return names.length === 0 ? `${last} is editing` : `${names.join(', ')} and ${last} are editing`;
}

/** A hue for a tab, the same wherever it is shown. */
export function hueOf(id: string): number {
  return Number.parseInt(id.slice(-4), 16) % 360;
}
