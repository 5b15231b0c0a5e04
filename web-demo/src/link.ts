// What a link leads to stands in its fragment, which browsers keep to themselves: an invitation to somebody's list, or the name of a list of
// one's own and the relays where others are to be met.

export type Link =
  | { readonly invitation: string }
  | {
      readonly name: string;
      /** `undefined`: those that the list was opened with last. */
      readonly relays: string[] | undefined;
    };

/** The list of a person who opened the page without a link. */
export const OWN_LIST = 'my-list';

/** Longer names are cut: they stand in the title, and a link has to stay short enough for a message. */
const NAME_CHARS_MAX = 100;
/** More relays than this bring nothing: a list needs one that works. */
const RELAYS_MAX = 8;

/** Reads `#join=INVITATION` or `#list=NAME&relay=ADDRESS&relay=…`. Whatever is missing or empty falls back to the list of this device. */
export function parseLink(fragment: string): Link {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  const invitation = fields.get('join')?.trim();
  if (invitation) return { invitation };
  const name = fields.get('list')?.trim().slice(0, NAME_CHARS_MAX) || OWN_LIST;
  const relays = [...new Set(fields.getAll('relay').map((address) => address.trim()))].filter(
    (address) => address !== '',
  );
  return { name, relays: relays.length > 0 ? relays.slice(0, RELAYS_MAX) : undefined };
}

/** The fragment of a list that is on this device. */
export function formatList(name: string): string {
  return `#list=${encodeURIComponent(name)}`;
}

/** The fragment that leads others to a list. */
export function formatInvitation(invitation: string): string {
  return `#join=${invitation}`;
}
