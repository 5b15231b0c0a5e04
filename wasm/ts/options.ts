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
   * are normal; with an empty list the store stays on this device. By default those that it was opened with last.
   */
  relays?: readonly string[] | undefined;
  /**
   * STUN and TURN servers, which help two browsers behind routers to find a direct path; those of `RTCConfiguration.iceServers`. None
   * by default, so that no stranger learns who meets whom: within a local network browsers find each other without, and elsewhere
   * the data passes the relay.
   */
  ice?: readonly IceServer[] | undefined;
  /**
   * What makes a member, for applications that have a way of their own to agree on it: 32 random bytes. By default a store that is new makes
   * its own, and others become members by `invite` and `join`; it is stored with the store and need not be given again.
   */
  secret?: Uint8Array | undefined;
  /**
   * Where the store is kept on this device. `indexeddb`, the default in a browser: it is there again when the page is, and all tabs of the
   * browser share it. `memory`: it ends with this tab, which shares it with others over the network only.
   */
  storage?: 'indexeddb' | 'memory' | undefined;
  /**
   * Limits on the values in memory: 64 MiB by default. Beyond them, those that were used longest ago are on the disk alone, from where they
   * are read when they are wanted. What has not reached the disk yet counts and stays; so do all values where `status.storage.kind` is
   * `'memory'`. Keys and what is known of each value (about 200 bytes beyond the key) are always in memory, and so are values of up to 36
   * bytes.
   */
  cache?: CacheOptions | undefined;
}

/** How long a secret is. */
const SECRET_BYTES = 32;

export interface IceServer {
  /** Such as `stun:stun.example.org:3478`; of `turn:` addresses, several ways to the same server. */
  urls: string | readonly string[];
  /** For `turn:`. */
  username?: string | undefined;
  /** For `turn:`. */
  credential?: string | undefined;
}

export interface CheckedOptions {
  readonly name: string;
  readonly secret: Uint8Array | undefined;
  readonly relays: readonly string[] | undefined;
  readonly ice: readonly CheckedIceServer[];
  readonly storage: 'memory' | 'indexeddb';
  readonly cache: CacheOptions;
}

export interface CheckedIceServer {
  readonly urls: readonly string[];
  readonly username?: string | undefined;
  readonly credential?: string | undefined;
}

/** Types and spelling; what an address must look like is judged by the engine. */
export function checkOpen(name: unknown, options: OpenOptions | undefined): CheckedOptions {
  const checked = checkText('open', 'name', name);
  if (!checked) throw invalidOptions('open', 'the store has no name; pass one');
  const {
    secret,
    relays,
    ice = [],
    storage = 'indexeddb',
    cache,
  } = checkOptions('open', options, ['secret', 'relays', 'ice', 'storage', 'cache']);
  if (storage !== 'indexeddb' && storage !== 'memory') {
    throw invalidOptions('open', '`storage` is neither `indexeddb` nor `memory`');
  }
  if (secret !== undefined && !(secret instanceof Uint8Array && secret.length === SECRET_BYTES)) {
    throw invalidOptions('open', `\`secret\` is not a Uint8Array of ${SECRET_BYTES} bytes`);
  }
  if (relays !== undefined && !Array.isArray(relays)) {
    throw invalidOptions('open', '`relays` is not an array of multiaddresses');
  }
  for (const relay of relays ?? []) {
    if (typeof relay !== 'string') throw invalidOptions('open', '`relays` holds something that is not a string');
  }
  if (!Array.isArray(ice)) throw invalidOptions('open', '`ice` is not an array of servers');
  return {
    name: checked,
    secret: secret?.slice(),
    relays: relays && [...relays],
    storage,
    ice: ice.map(checkIce),
    cache: checkCache(cache),
  };
}

/** What a browser takes; one that it refuses would otherwise be noticed when the first peer is met. */
function checkIce(server: IceServer): CheckedIceServer {
  const { urls, username, credential } = checkOptions('open, `ice`', server, ['urls', 'username', 'credential']);
  const all = typeof urls === 'string' ? [urls] : urls;
  if (!Array.isArray(all) || all.length === 0) throw invalidOptions('open, `ice`', '`urls` names no server');
  for (const url of all) {
    if (typeof url !== 'string' || !/^(stun|turn)s?:[^/]/.test(url)) {
      throw invalidOptions('open, `ice`', `\`${String(url)}\` is no address such as stun:stun.example.org:3478`);
    }
    if (url.startsWith('turn') && (typeof username !== 'string' || typeof credential !== 'string')) {
      throw invalidOptions('open, `ice`', `${url} needs \`username\` and \`credential\``);
    }
  }
  return { urls: [...all], username, credential };
}

function checkCache(cache: CacheOptions | undefined): CacheOptions {
  const { maxItems, maxMemoryBytes } = checkOptions('open, `cache`', cache, ['maxItems', 'maxMemoryBytes']);
  try {
    checkLimits(maxItems, maxMemoryBytes);
    return { maxItems, maxMemoryBytes };
  } catch (cause) {
    throw invalidOptions('open, `cache`', (cause as RangeError).message, { cause });
  }
}
