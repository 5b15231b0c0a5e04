/** What a store says of itself while nobody calls: the status and its event. */
import type { Status } from '@gossipstore/core';
import { expect, it } from 'vitest';
import { open } from './store.js';

/** A well-formed address where nobody listens. */
const NOBODY = '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';

it('says of a relay that is not there why, and everything works meanwhile', async () => {
  const store = await open<number>({ relays: [NOBODY] });
  await store.set('k', 1);
  await new Promise<void>((resolve) => {
    const look = () => {
      if (store.status.relays[0]?.error !== undefined) resolve();
    };
    store.addEventListener('status', look);
    look();
  });
  expect(store.status.network).toBe('offline');
  expect(store.status.relays).toMatchObject([{ address: NOBODY, error: expect.stringMatching(/./) }]);
  expect(await store.get('k')).toBe(1);
});

it('says when it is closed that it is offline, once, and why its relays wait', async () => {
  const store = await open<number>({ relays: [NOBODY] });
  await store.set('k', 1);
  const before = store.status;
  const told: Status[] = [];
  store.addEventListener('status', ({ status }) => told.push(status));
  await store.close();
  expect(store.status).not.toBe(before);
  expect(told.at(-1)).toBe(store.status);
  expect(store.status).toEqual({
    ...before,
    network: 'offline',
    peers: [],
    relays: [{ address: NOBODY, state: 'waiting', error: expect.stringContaining('closed') }],
    storage: { ...before.storage, usedBytes: 0 },
    pending: 0,
  });
  const last = told.length;
  await store.close();
  expect(told).toHaveLength(last);
});

it('counts the bytes it holds, and tells of a new status with an event that carries it', async () => {
  const store = await open<Uint8Array>();
  const grown = new Promise<number>((resolve) => {
    store.addEventListener('status', ({ status }) => {
      expect(store.status).toBe(status);
      if (status.storage.usedBytes > 1_000) resolve(status.storage.usedBytes);
    });
  });
  await store.set('k', new Uint8Array(1_000));
  expect(await grown).toBeLessThan(1_100);
});

it('takes listeners as objects, once, and back', async () => {
  const store = await open<number>();
  let heard = 0;
  const listener = { handleEvent: () => heard++ };
  store.addEventListener('status', listener, { once: true });
  store.addEventListener('conflict', listener);
  store.removeEventListener('conflict', listener);
  store.dispatchEvent(new Event('status'));
  store.dispatchEvent(new Event('status'));
  store.dispatchEvent(new Event('conflict'));
  expect(heard).toBe(1);
});
