/** A store as one file: all of it comes back, merged with what is there, and a file that is none does no harm. */
import { GossipStore } from '@gossipstore/core';
import { expect, it } from 'vitest';
import { collect, conflict, failure, open } from './store.js';

it('gives back entries, counters and conflicts, also under another name', async () => {
  const store = await open();
  await store.setMany(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, { n }]));
  await store.set('large', new Uint8Array(200_000).fill(7));
  await store.counter('likes').increment(3);
  await conflict(store, 'both', 'one', 'other');
  const file = await store.export();
  expect(file).toBeInstanceOf(Blob);

  const copy = await GossipStore.import('a copy', file);
  expect(await collect(copy.entries())).toEqual(await collect(store.entries()));
  expect((await copy.getSiblings('both')).values).toHaveLength(2);
  await copy.counter('likes').increment();
  expect(await copy.counter('likes').value()).toBe(4);
  await copy.close();
});

it('merges with what is there, and brings nothing back that was deleted since', async () => {
  const store = await open(undefined, 'merged');
  await store.set('kept', 1);
  await store.set('deleted', 1);
  const file = new Uint8Array(await (await store.export()).arrayBuffer());
  await store.delete('deleted');
  await store.set('later', 2);
  await store.close();
  const other = await GossipStore.import('another', file, { relays: [] });
  await other.set('later still', 3);
  const both = await other.export();
  await other.close();
  const merged = await GossipStore.import('merged again', both);
  expect(await collect(merged.keys())).toEqual(['deleted', 'kept', 'later still']);
  await merged.close();
});

it('says what is wrong with a file, and leaves the store as it was', async () => {
  const file = new Uint8Array(await (await (await open()).export()).arrayBuffer());
  await failure('InvalidFile', () => GossipStore.import('x', new Uint8Array([1, 2, 3])));
  await failure('InvalidFile', () => GossipStore.import('x', file.subarray(0, -1)));
  await failure('InvalidFile', () =>
    GossipStore.import(
      'x',
      file.map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
    ),
  );
  await failure('InvalidOptions', () => GossipStore.import('x', 'file' as unknown as Blob));
  const store = await open(undefined, 'x');
  expect(store.size).toBe(0);
});
