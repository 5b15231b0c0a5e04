// One entry of the list, as it lies in the store under its own key. What comes from peers is checked here, once.

export interface Item {
  text: string;
  done: boolean;
}

/** All entries are below this prefix, so that the store has room for other things. */
export const PREFIX = 'item/';

export const TEXT_CHARS_MAX = 500;

/** Room for milliseconds until the year 5188 in base 36: all times have the same length, so that key order is time order. */
const TIME_DIGITS = 9;
/** 2^40 possibilities for entries made in the same millisecond. */
const RANDOM_BYTES = 5;

/** A new key, greater than every key made earlier (as far as the devices' clocks agree). */
export function newKey(now: number = Date.now()): string {
  const time = Math.max(0, Math.floor(now)).toString(36).padStart(TIME_DIGITS, '0');
  const random = [...crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  return `${PREFIX}${time}-${random}`;
}

/** What a person typed, as it is stored: one line, trimmed, bounded. Empty when nothing is left. */
export function cleanText(typed: string): string {
  return typed.replace(/\s+/g, ' ').trim().slice(0, TEXT_CHARS_MAX);
}

/** A value from the store as an entry; `undefined` when it is something else, as another program or version may write. */
export function parseItem(value: unknown): Item | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { text, done } = value as Record<string, unknown>;
  if (typeof text !== 'string' || typeof done !== 'boolean') return undefined;
  return { text: text.slice(0, TEXT_CHARS_MAX), done };
}
