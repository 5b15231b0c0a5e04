// What the page and its service worker agree on.

/** What the page asks its worker. `about` is answered through the port that comes along; the others are not answered. */
export type Ask =
  | { readonly ask: 'about' }
  /** A person wants this version now: do not wait until the old one's pages are closed. */
  | { readonly ask: 'take over' }
  /** A page has loaded all that it will ever load: what only older versions need may go. */
  | { readonly ask: 'tidy' };

export interface About {
  readonly version: string;
  /** Whether everything the page needs to start is there. */
  readonly complete: boolean;
}

/**
 * The name of a version's cache. Each page holds a shared lock of the same name for as long as it lives, which tells the
 * worker which versions still have pages; nobody has to say good-bye for it, and a page that crashed holds none.
 * @param base where the page and its worker lie: others may use the same origin
 */
export function versionName(base: string, version: string): string {
  return `${familyOf(base)}${version}`;
}

/** What the names of all versions of this page begin with. */
export function familyOf(base: string): string {
  return `gossipstore-demo ${new URL('.', base).pathname} `;
}
