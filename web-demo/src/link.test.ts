import { expect, test } from 'vitest';
import { formatInvitation, formatList, OWN_LIST, parseLink } from './link.js';

const RELAY = '/ip4/127.0.0.1/tcp/9091/ws/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

test('an invitation survives the way there and back', () => {
  const invitation = 'AWwAAQID-BAUG_BwgJCgsMDQ4PEBESExQVFhcYGRob';
  expect(parseLink(formatInvitation(invitation))).toEqual({ invitation });
});

test('a name survives the way there and back', () => {
  for (const name of ['shopping', 'päck & co = 50 % #1', 'shopping (2)']) {
    expect(parseLink(formatList(name))).toEqual({ name, relays: undefined });
  }
});

test('a list is named with its relays, which stay readable', () => {
  expect(parseLink(`#list=shopping&relay=${RELAY}`)).toEqual({ name: 'shopping', relays: [RELAY] });
  const name = 'päck & co = 50 % #1';
  expect(parseLink(`#list=${encodeURIComponent(name)}&relay=${RELAY}&relay=/dns4/a`)).toEqual({
    name,
    relays: [RELAY, '/dns4/a'],
  });
});

test('without relays a list has those that it had last', () => {
  expect(parseLink('#list=alone')).toEqual({ name: 'alone', relays: undefined });
});

test('no fragment is the list of this device', () => {
  for (const fragment of ['', '#', '#list=', '#list=%20&relay=', '#other=1', '#join=']) {
    expect(parseLink(fragment)).toEqual({ name: OWN_LIST, relays: undefined });
  }
});

test('what a stranger put into a link is bounded', () => {
  const link = parseLink(`#list=${'x'.repeat(5000)}&${Array.from({ length: 99 }, (_, i) => `relay=/r${i}`).join('&')}`);
  expect(link).toMatchObject({ name: 'x'.repeat(100), relays: { length: 8 } });
});

test('an address named twice is one relay', () => {
  expect(parseLink(`#list=a&relay=${RELAY}&relay=${RELAY}`)).toEqual({ name: 'a', relays: [RELAY] });
});
