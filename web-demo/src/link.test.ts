import { expect, test } from 'vitest';
import { formatLink, OWN_LIST, parseLink } from './link.js';

const RELAY = '/ip4/127.0.0.1/tcp/9091/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

test('a link survives the way there and back', () => {
  const links = [
    { name: 'shopping', relays: [RELAY] },
    { name: 'päck & co = 50 % #1', relays: [RELAY, '/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooW'] },
    { name: 'alone', relays: [] },
  ];
  for (const link of links) expect(parseLink(formatLink(link))).toEqual(link);
});

test('a formatted link shows the address as people know it', () => {
  expect(formatLink({ name: 'shopping', relays: [RELAY] })).toBe(`#list=shopping&relay=${RELAY}`);
});

test('no fragment is the list of this device', () => {
  for (const fragment of ['', '#', '#list=', '#list=%20&relay=', '#other=1']) {
    expect(parseLink(fragment)).toEqual({ name: OWN_LIST, relays: [] });
  }
});

test('what a stranger put into a link is bounded', () => {
  const { name, relays } = parseLink(
    `#list=${'x'.repeat(5000)}&${Array.from({ length: 99 }, (_, i) => `relay=/r${i}`).join('&')}`,
  );
  expect(name).toHaveLength(100);
  expect(relays).toHaveLength(8);
});

test('an address named twice is one relay', () => {
  expect(parseLink(`#list=a&relay=${RELAY}&relay=${RELAY}`).relays).toEqual([RELAY]);
});
