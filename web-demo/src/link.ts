// The link is the list: its name and the relays where its people meet stand in the fragment, which browsers keep to themselves.

export interface Link {
  name: string;
  relays: string[];
}

/** The list of a person who opened the page without a link: on this device only. */
export const OWN_LIST = 'my-list';

/** Longer names are cut: they stand in the title, and a link has to stay short enough for a message. */
const NAME_CHARS_MAX = 100;
/** More relays than this bring nothing: a list needs one that works. */
const RELAYS_MAX = 8;

/** Reads `#list=NAME&relay=ADDRESS&relay=…`. Whatever is missing or empty falls back to the list of this device. */
export function parseLink(fragment: string): Link {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  const name = fields.get('list')?.trim().slice(0, NAME_CHARS_MAX) || OWN_LIST;
  const relays = [...new Set(fields.getAll('relay').map((address) => address.trim()))].filter(
    (address) => address !== '',
  );
  return { name, relays: relays.slice(0, RELAYS_MAX) };
}

/** The fragment for a link. Addresses stay readable: their slashes need no escape in a fragment. */
export function formatLink({ name, relays }: Link): string {
  const field = (key: string, value: string) => `${key}=${encodeURIComponent(value).replaceAll('%2F', '/')}`;
  return `#${[field('list', name), ...relays.map((address) => field('relay', address))].join('&')}`;
}
