/** Opening and closing: options, one opening a page, what is left when a store is closed. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { GossipStore } from '@gossipstore/core';
import { expect, it } from 'vitest';
import { collect, failure, NOTHING_REFUSED, open } from './store.js';

it('opens a store with a name and nothing else', async () => {
  const store = await open({}, 'groceries');
  expect(store.name).toBe('groceries');
  expect(store.size).toBe(0);
  expect(store.status).toMatchObject({
    role: 'leader',
    network: 'offline',
    peers: [],
    storage: { kind: 'memory', persisted: false, usedBytes: 0 },
    relays: [],
    pending: 0,
    refused: NOTHING_REFUSED,
  });
});

it('takes limits on the values in memory, and keeps every value that has no other place', async () => {
  const store = await GossipStore.open('shopping-list', {
    relays: [],
    cache: { maxItems: 10_000, maxMemoryBytes: 32 * 1024 * 1024 },
  });
  await store.close();
  const small = await open<number>({ cache: { maxItems: 1 } });
  await small.setMany([
    ['a', 1],
    ['b', 2],
  ]);
  expect(await small.getMany(['a', 'b'])).toEqual([1, 2]);
  for (const cache of [
    undefined,
    {},
    { maxMemoryBytes: 1 },
    { maxItems: Number.POSITIVE_INFINITY, maxMemoryBytes: 1.5 },
  ]) {
    await open({ cache });
  }
});

it.each<[unknown, RegExp]>([
  [null, /pass an object/],
  [10, /pass an object/],
  [{ maxItem: 1 }, /maxItem.*maxItems, maxMemoryBytes/],
  [{ maxItems: 0 }, /maxItems must be a number from 1 up, not 0/],
  [{ maxItems: 1.5 }, /maxItems .*whole number/],
  [{ maxItems: '10' }, /maxItems .*not "10"/],
  [{ maxMemoryBytes: -1 }, /maxMemoryBytes must be a number from 1 up, not -1/],
  [{ maxMemoryBytes: Number.NaN }, /maxMemoryBytes/],
  [{ maxItems: Number.POSITIVE_INFINITY, maxMemoryBytes: Number.POSITIVE_INFINITY }, /without any limit/],
  [{ maxItems: Number.POSITIVE_INFINITY }, /without any limit/],
])('refuses the cache %j and says why', async (cache, why) => {
  const error = await failure('InvalidOptions', () => GossipStore.open('x', { cache } as object));
  expect(error.message).toMatch(why);
  await open({}, 'x');
});

it.each([
  ['no name', undefined, {}],
  ['an empty name', '', {}],
  ['a name that is no string', 7, {}],
  ['half a character in the name', '\ud800', {}],
  ['options that are no object', 'x', 'relays'],
  ['null for options', 'x', null],
  ['a misspelt option', 'x', { relay: [] }],
  ['relays that are no array', 'x', { relays: '/ip4/127.0.0.1' }],
  ['a relay that is no string', 'x', { relays: [7] }],
])('refuses %s', async (_, name, options) => {
  await failure('InvalidOptions', () => GossipStore.open(name as string, options as object));
});

it('takes the ICE servers that a browser takes', async () => {
  for (const ice of [
    [],
    [{ urls: 'stun:stun.example.org' }],
    [{ urls: ['turn:turn.example.org', 'turns:turn.example.org:443?transport=tcp'], username: 'u', credential: 'c' }],
  ]) {
    await open({ ice });
  }
});

it.each<[unknown, RegExp]>([
  ['stun:stun.example.org', /not an array/],
  [[null], /pass an object/],
  [[{ url: 'stun:stun.example.org' }], /no option `url`; known are urls/],
  [[{ urls: [] }], /names no server/],
  [[{ urls: 'stun.example.org' }], /`stun\.example\.org` is no address such as stun:/],
  [[{ urls: 'stun://stun.example.org' }], /is no address/],
  [[{ urls: ['stun:stun.example.org', 7] }], /`7` is no address/],
  [[{ urls: 'turn:turn.example.org', username: 'u' }], /needs `username` and `credential`/],
])('refuses the ICE servers %j and says why', async (ice, why) => {
  const error = await failure('InvalidOptions', () => GossipStore.open('x', { ice } as object));
  expect(error.message).toMatch(why);
  await open({}, 'x');
});

it.each([
  'example.org',
  'wss://example.org',
  '/ip4/127.0.0.1/tcp/9091/ws',
  '/ip4/999.0.0.1/tcp/9091/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  '/ip4/127.0.0.1/tcp/9091/ws/p2p/nobody',
  '',
])('refuses the relay address %j and names it', async (address) => {
  const error = await failure('InvalidRelayAddress', () => GossipStore.open('x', { relays: [address] }));
  expect(error.message).toContain(address);
  // Nothing is left of the attempt.
  await open({}, 'x');
});

it('refuses to open a store twice in one page, also from a second copy of the package', async () => {
  const name = 'shared';
  const store = await open({}, name);
  await failure('AlreadyOpen', () => GossipStore.open(name));

  const folder = mkdtempSync(join(tmpdir(), 'gossipstore-copy-'));
  try {
    cpSync(fileURLToPath(new URL('../dist', import.meta.url)), folder, { recursive: true });
    const copy: { GossipStore: typeof GossipStore } = await import(pathToFileURL(join(folder, 'index.js')).href);
    expect(copy.GossipStore).not.toBe(GossipStore);
    await expect(copy.GossipStore.open(name)).rejects.toMatchObject({ code: 'AlreadyOpen' });
    await store.close();
    const second = await copy.GossipStore.open(name);
    await failure('AlreadyOpen', () => GossipStore.open(name));
    await second.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
  await open({}, name);
});

it('keeps stores of different names apart', async () => {
  const [one, two] = await Promise.all([open<string>(), open<string>()]);
  await one.set('k', 'one');
  await two.set('k', 'two');
  expect([await one.get('k'), await two.get('k')]).toEqual(['one', 'two']);
});

it('fails every call after close, and close itself never', async () => {
  const store = await open<number>();
  await store.set('k', 1);
  const closing = store.close();
  const calls: (() => unknown)[] = [
    () => store.set('k', 2),
    () => store.get('k'),
    () => store.has('k'),
    () => store.delete('k'),
    () => store.clear(),
    () => store.setMany([['k', 2]]),
    () => store.getMany(['k']),
    () => store.deleteMany(['k']),
    () => store.getSiblings('k'),
    () => store.transaction((tx) => tx.set('k', 2)),
    () => collect(store.entries()),
    () => collect(store.conflicts()),
    () => store.changes(),
  ];
  for (const call of calls) await failure('Closed', call);
  await closing;
  for (const call of calls) await failure('Closed', call);
  await store.close();
});

it('completes what was asked for before close', async () => {
  const store = await open<number>();
  const written = store.set('k', 1);
  await store.close();
  await written;
});

it('closes at the end of an `await using` block', async () => {
  {
    await using store = await open({}, 'scoped');
    await store.set('k', 1);
  }
  await open({}, 'scoped');
});
