/** What callers hand in, checked at the edge: wrong types, misspelt options, strings that no replica could store. */
import { GossipStoreError } from './errors.js';
import type { Limits } from './host.js';

/** UTF-16 code units that are half of a pair: UTF-8 cannot carry them, so two such keys would become one. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const encoder = new TextEncoder();

/** A key that can be stored; throws with the code that says why not. */
export function checkKey(key: unknown, limits: Limits): string {
  if (typeof key !== 'string') {
    throw new GossipStoreError('KeyNotStorable', `the key is of type ${typeof key}; keys are strings`);
  }
  if (key === '') throw new GossipStoreError('KeyEmpty', 'the key is empty; use a non-empty string');
  if (LONE_SURROGATE.test(key)) {
    const remedy = 'use whole characters, or encode binary keys as hexadecimal';
    throw new GossipStoreError('KeyNotStorable', `the key holds half of a surrogate pair; ${remedy}`);
  }
  // One UTF-16 code unit is at most three bytes of UTF-8.
  if (key.length * 3 > limits.keyBytes) {
    const bytes = encoder.encode(key).length;
    if (bytes > limits.keyBytes) {
      const message = `the key has ${bytes} bytes of UTF-8; at most ${limits.keyBytes} are allowed`;
      throw new GossipStoreError('KeyTooLong', message);
    }
  }
  return key;
}

/** Options of the call `of`, as an object without properties that the call does not know. */
export function checkOptions<T extends object>(
  of: string,
  options: T | undefined,
  known: readonly (keyof T & string)[],
): T {
  if (options === undefined) return {} as T;
  if (typeof options !== 'object' || options === null) {
    throw invalidOptions(of, `the options are of type ${options === null ? 'null' : typeof options}; pass an object`);
  }
  for (const name of Object.keys(options)) {
    if (!(known as readonly string[]).includes(name)) {
      throw invalidOptions(of, `there is no option \`${name}\`; known are ${known.join(', ')}`);
    }
  }
  return options;
}

/** A string option that may be absent. */
export function checkText(of: string, name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw invalidOptions(of, `\`${name}\` is of type ${typeof value}; pass a string`);
  if (LONE_SURROGATE.test(value))
    throw invalidOptions(of, `\`${name}\` holds half of a surrogate pair; pass whole characters`);
  return value;
}

/** An abort signal that may be absent. */
export function checkSignal(of: string, signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) throw invalidOptions(of, '`signal` is not an AbortSignal');
  return signal;
}

/** A function that the call cannot do without. */
export function checkFunction(of: string, name: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw invalidOptions(of, `\`${name}\` is ${typeName(value)}; pass a function`);
}

/**
 * A list of what `items` says, to be walked once. A string is none, although it can be iterated: it would be taken apart into
 * characters, each a key.
 */
export function checkIterable<T>(of: string, items: string, value: Iterable<T>): Iterable<T> {
  const iterate = typeof value === 'object' && value !== null && value[Symbol.iterator];
  if (typeof iterate === 'function') return value;
  throw invalidOptions(of, `expected ${items}, in an array or another iterable, not ${typeName(value)}`);
}

/** One entry of a list of entries. */
export function checkEntry<V>(of: string, entry: readonly [key: string, value: V], at: number): readonly [string, V] {
  if (Array.isArray(entry) && entry.length === 2) return entry;
  throw invalidOptions(of, `entry ${at} is ${typeName(entry)}; each must be an array of a key and a value`);
}

/** The bytes of a file. */
export async function checkFile(of: string, file: Blob | ArrayBuffer | Uint8Array): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  if (file instanceof Blob) return new Uint8Array(await file.arrayBuffer());
  throw invalidOptions(of, `the file is ${typeName(file)}; pass a Blob, as from an input element, or its bytes`);
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return `of type ${typeof value}`;
}

export function invalidOptions(of: string, what: string, options?: ErrorOptions): GossipStoreError {
  return new GossipStoreError('InvalidOptions', `${of}: ${what}`, options);
}
