/** What a store is opened with. */
import { checkOptions, checkText, invalidOptions } from './check.js';
import { checkLimits } from './lru-limits.js';

/** Limits on the values that a store keeps in memory; the rules are those of `LRUCache`. */
export interface CacheOptions {
  /** How many values: a whole number from 1 up, or `Infinity` for no limit on values. */
  maxItems?: number | undefined;
  /** How many bytes they may take together: from 1 up, or `Infinity` for no limit on bytes. */
  maxMemoryBytes?: number | undefined;
}

export interface OpenOptions {
  /**
   * Multiaddresses of relays, through which the members of the store meet, each ending in `/p2p/` and the relay's id. Several
   * are normal; without any the store stays on this device.
   */
  relays?: readonly string[] | undefined;
  /**
   * Limits on the values in memory. Checked, and without effect at present: where `status.storage.kind` is `'memory'`, as it
   * always is now, memory is the only place a value has, so every value stays there. The limits are for values that can be
   * read again from storage.
   */
  cache?: CacheOptions | undefined;
}

export interface CheckedOptions {
  readonly name: string;
  readonly relays: readonly string[];
}

/** Types and spelling; what an address must look like is judged by the engine. */
export function checkOpen(name: unknown, options: OpenOptions | undefined): CheckedOptions {
  const checked = checkText('open', 'name', name);
  if (!checked) throw invalidOptions('open', 'the store has no name; pass one that all its members use');
  const { relays = [], cache } = checkOptions('open', options, ['relays', 'cache']);
  if (!Array.isArray(relays)) throw invalidOptions('open', '`relays` is not an array of multiaddresses');
  for (const relay of relays) {
    if (typeof relay !== 'string') throw invalidOptions('open', '`relays` holds something that is not a string');
  }
  checkCache(cache);
  return { name: checked, relays: [...relays] };
}

function checkCache(cache: CacheOptions | undefined): void {
  const { maxItems, maxMemoryBytes } = checkOptions('open, `cache`', cache, ['maxItems', 'maxMemoryBytes']);
  try {
    checkLimits(maxItems, maxMemoryBytes);
  } catch (cause) {
    throw invalidOptions('open, `cache`', (cause as RangeError).message, { cause });
  }
}
