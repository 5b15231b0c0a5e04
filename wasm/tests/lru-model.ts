/**
 * The obvious model of the cache: a list, newest first, searched from end to end. The golden vectors are made from it, and
 * random operations are held against it.
 */

import type { EvictionReason } from '../ts/lru-cache.js';

/** What is cached in tests: an object that says its own size, which may change while it is cached. */
export interface Sized {
  readonly id: string;
  size: number;
}

export type Operation =
  | { op: 'set'; key: string; value: string; size: number }
  | { op: 'get' | 'peek' | 'has' | 'delete'; key: string }
  | { op: 'clear' }
  /** The cached object changes its size without the cache being told. */
  | { op: 'mutate'; key: string; size: number };

/** What an operation does: what it returns, what it evicts, and what the cache holds after it. */
export interface Outcome {
  returns?: string | boolean | null;
  evicted: [value: string, key: string, reason: EvictionReason][];
  content: [key: string, value: string][];
  bytes: number;
}

export interface Limits {
  maxItems?: number;
  maxMemoryBytes?: number;
}

export class LruModel {
  #list: { key: string; value: string; bytes: number }[] = [];
  readonly #maxItems: number;
  readonly #maxBytes: number;

  constructor(limits: Limits) {
    this.#maxItems = limits.maxItems ?? Number.POSITIVE_INFINITY;
    this.#maxBytes = limits.maxMemoryBytes ?? Number.POSITIVE_INFINITY;
  }

  apply(operation: Operation): Outcome {
    const evicted: Outcome['evicted'] = [];
    const returns = this.#perform(operation, evicted);
    return {
      ...(returns === undefined ? {} : { returns }),
      evicted,
      content: this.#list.map(({ key, value }) => [key, value]),
      bytes: this.#bytes(),
    };
  }

  #perform(operation: Operation, evicted: Outcome['evicted']): Outcome['returns'] {
    switch (operation.op) {
      case 'set': {
        const { key, value, size } = operation;
        this.#take(key);
        if (size > this.#maxBytes) {
          evicted.push([value, key, 'too-large']);
          return undefined;
        }
        this.#list.unshift({ key, value, bytes: size });
        while (this.#list.length > this.#maxItems || this.#bytes() > this.#maxBytes) {
          const reason = this.#list.length > this.#maxItems ? 'max-items' : 'max-memory';
          const oldest = this.#list.pop();
          if (oldest !== undefined) evicted.push([oldest.value, oldest.key, reason]);
        }
        return undefined;
      }
      case 'get': {
        const found = this.#take(operation.key);
        if (found !== undefined) this.#list.unshift(found);
        return found?.value ?? null;
      }
      case 'peek':
        return this.#list.find(({ key }) => key === operation.key)?.value ?? null;
      case 'has':
        return this.#list.some(({ key }) => key === operation.key);
      case 'delete':
        return this.#take(operation.key) !== undefined;
      case 'clear':
        this.#list = [];
        return undefined;
      case 'mutate':
        return undefined;
    }
  }

  #take(key: string): { key: string; value: string; bytes: number } | undefined {
    const index = this.#list.findIndex((entry) => entry.key === key);
    return index === -1 ? undefined : this.#list.splice(index, 1)[0];
  }

  #bytes(): number {
    return this.#list.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}
