/** The canonical order of an object's keys: that of their encodings (RFC 8949, 4.2.1). */

import { encodeWtf8, isWellFormed } from './value-text.js';

/** Up to here, sorting by insertion is faster than to call `sort`; and larger objects are seldom alike. */
const FEW_KEYS = 12;
/** How many shapes of objects are remembered; a power of two. */
const REMEMBERED_SHAPES = 64;
/** Shapes with a longer key are not remembered: it bounds the memory, some 50 KiB at most. */
const REMEMBERED_KEY_UNITS = 32;

/**
 * Sorts keys. Objects of a program come in few shapes, each with its keys in one order, so the sorted keys of the shapes seen
 * lately are remembered: it saves a third of the time of encoding a small object.
 */
export class KeyOrder {
  readonly #shapes: ({ keys: string[]; sorted: string[] } | undefined)[] = new Array(REMEMBERED_SHAPES).fill(undefined);

  /** The object's own enumerable string keys in canonical order. */
  of(object: object): readonly string[] {
    const keys = Object.keys(object);
    const count = keys.length;
    if (count < 2 || count > FEW_KEYS) return sortKeys(keys);
    const slot = slotOf(keys);
    const shape = this.#shapes[slot];
    if (shape !== undefined && isSame(shape.keys, keys)) return shape.sorted;
    const sorted = sortKeys(keys.slice());
    if (keys.every((key) => key.length <= REMEMBERED_KEY_UNITS)) this.#shapes[slot] = { keys, sorted };
    return sorted;
  }
}

/** Shapes that meet in a slot replace each other. */
function slotOf(keys: readonly string[]): number {
  const first = keys[0] as string;
  const last = keys[keys.length - 1] as string;
  return (keys.length * 31 + first.length * 7 + last.length * 3 + last.charCodeAt(0)) & (REMEMBERED_SHAPES - 1);
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Sorts keys, in place, by their encodings. */
function sortKeys(keys: string[]): string[] {
  for (const key of keys) if (!isAscii(key)) return sortByBytes(keys);
  if (keys.length > FEW_KEYS) return keys.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] as string;
    let j = i;
    for (; j > 0 && isBefore(key, keys[j - 1] as string); j--) keys[j] = keys[j - 1] as string;
    keys[j] = key;
  }
  return keys;
}

/** The order of encodings among ASCII keys: the head, which holds the length, comes first. */
function isBefore(a: string, b: string): boolean {
  return a.length !== b.length ? a.length < b.length : a < b;
}

function isAscii(key: string): boolean {
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** The same order for any keys: text by its length in UTF-8, then by bytes; after all text what needs WTF-8. */
function sortByBytes(keys: string[]): string[] {
  const encoded = keys.map((key) => ({ key, bytes: encodeWtf8(key), wellFormed: isWellFormed(key) }));
  encoded.sort((a, b) => {
    if (a.wellFormed !== b.wellFormed) return a.wellFormed ? -1 : 1;
    if (a.bytes.length !== b.bytes.length) return a.bytes.length - b.bytes.length;
    const differing = a.bytes.findIndex((byte, i) => byte !== b.bytes[i]);
    return differing === -1 ? 0 : (a.bytes[differing] as number) - (b.bytes[differing] as number);
  });
  return encoded.map(({ key }) => key);
}
