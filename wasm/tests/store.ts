/** What the tests of the API share: stores that are closed after each test, and what a call failed with. */
import { type ErrorCode, GossipStore, GossipStoreError, type OpenOptions, type Refusals } from '@gossipstore/core';
import { afterEach, expect } from 'vitest';

/** Of a status. */
export const NOTHING_REFUSED: Refusals = {
  connections: 0,
  strangers: 0,
  streams: 0,
  frames: 0,
  pauses: 0,
  messages: 0,
  floods: 0,
  presences: 0,
  transactions: 0,
  members: 0,
};

const opened: GossipStore<never>[] = [];
let names = 0;

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

/** A store that nobody else uses, on this device only unless `options` say otherwise. */
export async function open<V = unknown>(options?: OpenOptions, name = `store ${names++}`): Promise<GossipStore<V>> {
  const store = await GossipStore.open<V>(name, options);
  opened.push(store as unknown as GossipStore<never>);
  return store;
}

/** The error of a call that must fail with `code`, thrown or rejected, and must say something. */
export async function failure(code: ErrorCode, call: () => unknown): Promise<GossipStoreError> {
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(GossipStoreError);
    const failed = error as GossipStoreError;
    expect(failed.code).toBe(code);
    expect(failed.message.length).toBeGreaterThan(20);
    return failed;
  }
  throw new Error(`expected ${code}, but the call gave ${result}`);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Makes two concurrent values under a key, as two people who do not know of each other would. */
export async function conflict<V>(store: GossipStore<V>, key: string, first: V, second: V): Promise<void> {
  const { context } = await store.getSiblings(key);
  await store.set(key, first, { context });
  await store.set(key, second, { context });
}
