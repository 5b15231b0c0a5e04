// Invitations as an application makes and follows them.
import { readFileSync } from 'node:fs';
import { GossipStore } from '@gossipstore/core';
import { afterEach, expect, test, vi } from 'vitest';
import { failure } from './store.js';

const RELAY = '/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
const vectors = JSON.parse(readFileSync(new URL('../../core/tests/vectors/membership.json', import.meta.url), 'utf8'));
const memory = { storage: 'memory' } as const;

const open: GossipStore[] = [];

async function kept(opening: Promise<GossipStore>): Promise<GossipStore> {
  const store = await opening;
  open.push(store);
  return store;
}

afterEach(async () => {
  vi.useRealTimers();
  for (const store of open.splice(0)) await store.close();
});

test('who follows an invitation is a member of the same store', async () => {
  const ann = await kept(GossipStore.open('list', { ...memory, relays: [] }));
  const invitation = await ann.invite();
  const ben = await kept(GossipStore.join(invitation, { ...memory, name: 'list of Ann' }));
  expect([ben.name, ben.id]).toEqual(['list of Ann', ann.id]);
  expect(ann.id).toMatch(/^[0-9a-f]{32}$/);
  // Who was invited may invite, under the name that they gave it.
  expect(await GossipStore.readInvitation(await ben.invite())).toEqual({ name: 'list of Ann', relays: [] });
});

test('a store that nobody was invited to is nobody else’s', async () => {
  const first = await kept(GossipStore.open('one', memory));
  const second = await kept(GossipStore.open('two', memory));
  expect(first.id).not.toBe(second.id);
});

test('an invitation tells its relays and when it expires, and is short', async () => {
  const store = await kept(GossipStore.open('shopping', { ...memory, relays: [RELAY] }));
  const expires = new Date(Date.now() + 3_600_000.5);
  const invitation = await store.invite({ expires });
  expect(invitation).toMatch(/^[\w-]{150,250}$/);
  expect(await GossipStore.readInvitation(invitation)).toEqual({
    name: 'shopping',
    relays: [RELAY],
    expires: new Date(Math.ceil(expires.getTime() / 1_000) * 1_000),
  });
});

test('one secret is one store', async () => {
  const secret = Uint8Array.from({ length: 32 }, (_, n) => n);
  const [ann, ben] = [
    await kept(GossipStore.open('ann', { ...memory, secret })),
    await kept(GossipStore.open('ben', { ...memory, secret })),
  ];
  expect([ann.id, ben.id]).toEqual([vectors.store, vectors.store]);
});

test('what is wrong with an invitation is said', async () => {
  const store = await kept(GossipStore.open('list', memory));
  const invitation = await store.invite();
  const join = (text: string) => GossipStore.join(text, { ...memory, name: 'another' });
  expect((await failure('InvalidInvitation', () => join(''))).message).toContain('empty');
  expect((await failure('InvalidInvitation', () => join(invitation.slice(0, -3)))).message).toContain('cut off');
  expect((await failure('InvalidInvitation', () => join(`${invitation}A`))).message).toContain('characters');
  expect((await failure('InvalidInvitation', () => join(`https://${invitation}`))).message).toContain(':');
  vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ['Date'] });
  await failure('InvitationExpired', () => join(vectors.invitation));
  await failure('InvalidOptions', () => join(7 as unknown as string));
  await failure('InvalidOptions', () => GossipStore.join(invitation, { secret: 1 } as object));
  await failure('InvalidOptions', () => store.invite({ expires: new Date(0) }));
  await failure('InvalidOptions', () => store.invite({ expires: new Date(Number.NaN) }));
  await failure('InvalidOptions', () => GossipStore.open('short', { ...memory, secret: new Uint8Array(31) }));
});
