// The files of one version of the page, as its service worker keeps them: fetched all or none, proven by their hashes, and
// never mixed with those of another version.
//
// A page of an old version may be open long after a new one has taken over, and may still be loading. Names of files in
// `assets/` carry a hash, so whoever asks for one gets it from whichever version has it; the caches of old versions stay until
// their last page is closed. The page, too, loads all of itself when it starts (one script, one style sheet, the wasm with the
// first store), so that later it depends on no cache at all.
import { familyOf, versionName } from './messages.js';

/** What the build wrote down. */
export interface PrecacheList {
  readonly version: string;
  /** Paths below the page's folder, each with the SHA-256 of the file in hexadecimal digits. */
  readonly files: Readonly<Record<string, string>>;
}

/** What is used of the browser; tests hand in their own. */
export interface Surroundings {
  readonly caches: Pick<CacheStorage, 'open' | 'keys' | 'delete' | 'match'>;
  fetch(request: Request | string, init?: RequestInit): Promise<Response>;
}

const INDEX = 'index.html';

export class Precache {
  /** The name of this version's cache. */
  readonly name: string;
  readonly #hashes = new Map<string, string>();

  /** @param scope the URL of the page's folder, which ends with a slash */
  constructor(
    readonly version: string,
    files: PrecacheList['files'],
    private readonly scope: string,
    private readonly surroundings: Surroundings,
  ) {
    this.name = versionName(scope, version);
    for (const [path, hash] of Object.entries(files)) this.#hashes.set(new URL(path, scope).href, hash);
  }

  /** Fetches every file. When one cannot be had, or is not the one of this version, nothing is kept and this rejects. */
  async fill(): Promise<void> {
    const { caches } = this.surroundings;
    const earlier = await this.#family();
    // It stands already when a server has gone back to an older version whose pages are still open: that one is left alone.
    const isNew = !earlier.includes(this.name);
    try {
      // All of them before any is stored: mostly there is then nothing to undo.
      const responses = await Promise.all(
        [...this.#hashes].map(async ([url, hash]) => [url, await this.#obtain(url, hash)] as const),
      );
      const cache = await caches.open(this.name);
      await Promise.all(responses.map(([url, response]) => cache.put(url, response)));
    } catch (error) {
      if (isNew) await caches.delete(this.name);
      throw error;
    }
  }

  /** Whether every file is there. */
  async isComplete(): Promise<boolean> {
    if (!(await this.#family()).includes(this.name)) return false;
    const cache = await this.surroundings.caches.open(this.name);
    const found = await Promise.all([...this.#hashes.keys()].map((url) => cache.match(url)));
    return found.every((response) => response !== undefined);
  }

  /** The URL under which what is asked for is kept; `undefined` when the request is none of this page's files. */
  urlOf({ method, mode, url: asked }: Pick<Request, 'method' | 'mode' | 'url'>): string | undefined {
    if (method !== 'GET' || !asked.startsWith(this.scope)) return undefined;
    const url = new URL(asked);
    const index = new URL(INDEX, this.scope).href;
    const bare = new URL(url.pathname, url).href;
    // Whatever stands behind the question mark, it is the same page.
    if (mode === 'navigate' && (bare === this.scope || bare === index)) return index;
    if (url.search !== '') return undefined;
    return this.#hashes.has(bare) || bare.startsWith(new URL('assets/', this.scope).href) ? bare : undefined;
  }

  /** The file that is kept under a URL of `urlOf`: this version's, else an older one's, else what the network answers. */
  async answer(url: string, request: Request): Promise<Response> {
    const { caches, fetch } = this.surroundings;
    const options = { cacheName: this.name, ignoreVary: true };
    const own = this.#hashes.has(url) ? await caches.match(url, options) : undefined;
    if (own !== undefined) return own;
    for (const name of await this.#family()) {
      const older = await caches.match(url, { ...options, cacheName: name });
      if (older !== undefined) return older;
    }
    return fetch(request);
  }

  /** Drops the caches of all other versions but those in use. */
  async tidy(inUse: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#family()) {
      if (name !== this.name && !inUse.has(name)) await this.surroundings.caches.delete(name);
    }
  }

  async #family(): Promise<string[]> {
    const names = await this.surroundings.caches.keys();
    return names.filter((name) => name.startsWith(familyOf(this.scope)));
  }

  /** A file of this version: from an older version where it is the same, as the wasm often is, else from the network. */
  async #obtain(url: string, hash: string): Promise<Response> {
    const { caches, fetch } = this.surroundings;
    for (const cacheName of await this.#family()) {
      const kept = await proven(await caches.match(url, { cacheName, ignoreVary: true }), hash);
      if (kept !== undefined) return kept;
    }
    // Servers often lead from `index.html` to the folder; a response that was led elsewhere is no answer to a navigation.
    const source = url === new URL(INDEX, this.scope).href ? this.scope : url;
    // The page itself has just loaded most of it. What lies in the browser's own cache may be of another version, though.
    for (const cache of ['default', 'reload'] as const) {
      const fetched = await proven(await fetch(source, { cache }), hash);
      if (fetched !== undefined) return fetched;
    }
    throw new Error(`${url} is not there as this version needs it`);
  }
}

/** The response, when it is the file with this hash. It is made anew: without a URL, a redirect cannot stick to it. */
async function proven(response: Response | undefined, hash: string): Promise<Response | undefined> {
  if (!response?.ok) return undefined;
  const bytes = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const digits = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits === hash ? new Response(bytes, { headers: response.headers }) : undefined;
}
