/**
 * What makes this browser a member of a store, kept once more beside the store's own database: a browser that loses or deletes that takes the
 * store's secret with it, and who opens the store by its name again would begin another, and never meet the others of the first.
 *
 * In `localStorage`, which Chromium keeps in other files, and which goes with the rest when a person has the site's data deleted.
 */
const PREFIX = 'gossipstore/';

/** The invitation to the store of this name, as it was when it was last open. */
export function keepsakeOf(name: string): string | undefined {
  return storage()?.getItem(PREFIX + name) ?? undefined;
}

export function keep(name: string, invitation: string): void {
  if (keepsakeOf(name) === invitation) return;
  try {
    storage()?.setItem(PREFIX + name, invitation);
  } catch {
    // There is no room, and it is a copy.
  }
}

/** A worker has none, and a browser that keeps nothing for the page refuses even to be asked. */
function storage(): Storage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}
