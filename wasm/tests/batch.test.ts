/** Many writes in one call: cut into transactions, checked as a whole, stoppable, with progress. */
import type { GossipStore } from '@gossipstore/core';
import { describe, expect, it } from 'vitest';
import { Cutter } from '../ts/batch.js';
import { collect, failure, open } from './store.js';

const LIMITS = { keyBytes: 1_024, transactionWrites: 65_536, presenceBytes: 4_096 };

interface Write {
  readonly key: string;
  readonly value: Uint8Array | null;
}

function writes(count: number, valueBytes: number): Write[] {
  return Array.from({ length: count }, (_, n) => ({ key: String(n), value: new Uint8Array(valueBytes).fill(n) }));
}

function cutUp(items: readonly Write[], limits: typeof LIMITS): Write[][] {
  const cutter = new Cutter(limits);
  for (const item of items) {
    cutter.add(item, ({ key, value }, _, values) => {
      if (value) values.append(value, value.length);
      else values.delete();
      return key;
    });
  }
  return cutter.finish().map(({ keys, values }) => {
    if (!('bytes' in values)) throw new Error('values are packed');
    let end = 0;
    expect(values.lengths.length).toBe(keys.length);
    const writes = keys.map((key, at) => {
      const length = values.lengths[at] as number;
      const start = end;
      end += Math.max(0, length);
      return { key, value: length < 0 ? null : values.bytes.slice(start, end) };
    });
    expect(values.bytes.length).toBe(end);
    return writes;
  });
}

describe('cutting', () => {
  it.each([
    ['nothing', writes(0, 0), []],
    ['one write', writes(1, 10), [1]],
    ['writes that fit one transaction', writes(100, 100), [100]],
    ['writes of 1 KiB', writes(100, 1_024), [38, 38, 24]],
    ['writes longer than a transaction, each alone', writes(3, 100_000), [1, 1, 1]],
    ['deletions among values', [...writes(3, 20), { key: 'gone', value: null }, ...writes(1, 20)], [5]],
    ['a long one between short ones', [...writes(2, 10), ...writes(1, 100_000), ...writes(2, 10)], [2, 1, 2]],
  ])('%s', (_, items, expected) => {
    const cut = cutUp(items, LIMITS);
    expect(cut.map((writes) => writes.length)).toEqual(expected);
    expect(cut.flat()).toEqual(items);
  });

  it('keeps to the number of writes that a transaction may hold', () => {
    const cut = cutUp(writes(10, 0), { ...LIMITS, transactionWrites: 4 });
    expect(cut.map((writes) => writes.length)).toEqual([4, 4, 2]);
  });
});

it('writes and deletes thousands of entries from any iterable, the last of equal keys counting', async () => {
  const store = await open<number>();
  function* entries(): Generator<[string, number]> {
    for (let n = 0; n < 5_000; n++) yield [`k${n}`, n];
    yield ['k0', -1];
  }
  await store.setMany(entries());
  expect(store.size).toBe(5_000);
  expect(await store.getMany(['k0', 'k4999', 'k5000'])).toEqual([-1, 4_999, undefined]);
  await store.setMany(new Map([['k1', -2]]));
  expect(await store.get('k1')).toBe(-2);

  await store.deleteMany(keysUpTo(4_999));
  expect(await collect(store.entries())).toEqual([['k4999', 4_999]]);
  await store.setMany([]);
  await store.deleteMany(new Set());
});

function keysUpTo(count: number): Set<string> {
  return new Set(Array.from({ length: count }, (_, n) => `k${n}`));
}

it('stores nothing when one entry cannot be stored, however far back it is', async () => {
  const store = await open<unknown>();
  const entries: [string, unknown][] = Array.from({ length: 3_000 }, (_, n) => [`k${n}`, n]);
  await failure('KeyEmpty', () => store.setMany([...entries, ['', 1]]));
  await failure('ValueNotStorable', () => store.setMany([...entries, ['k', () => {}]]));
  expect(store.size).toBe(0);
});

it('tells the progress up to all', async () => {
  const store = await open<string>();
  const told: [number, number][] = [];
  const entries = Array.from({ length: 200 }, (_, n): [string, string] => [`k${n}`, 'x'.repeat(1_000)]);
  await store.setMany(entries, { onProgress: (done, total) => told.push([done, total]) });
  expect(told.length).toBeGreaterThan(3);
  expect(told.at(-1)).toEqual([200, 200]);
  expect(told.every(([done, total], at) => total === 200 && done > (told[at - 1]?.[0] ?? 0))).toBe(true);
});

it('stops between two transactions when the signal aborts; what was written stays', async () => {
  const store = await open<string>();
  const controller = new AbortController();
  const reason = new Error('enough');
  const entries = Array.from({ length: 2_000 }, (_, n): [string, string] => [`k${n}`, 'x'.repeat(1_000)]);
  const onProgress = () => controller.abort(reason);
  await expect(store.setMany(entries, { signal: controller.signal, onProgress })).rejects.toBe(reason);
  expect(store.size).toBeGreaterThan(0);
  expect(store.size).toBeLessThan(2_000);

  const before = store.size;
  await expect(store.deleteMany(['k0'], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(store.size).toBe(before);
});

it('lets the page have its turns meanwhile', async () => {
  const store = await open<number>();
  let turns = 0;
  let running = true;
  const count = () => {
    turns++;
    if (running) setTimeout(count);
  };
  setTimeout(count);
  await store.setMany(Array.from({ length: 30_000 }, (_, n) => [`k${n}`, n]));
  running = false;
  expect(turns).toBeGreaterThan(2);
});

it.each<[string, (store: GossipStore<never>) => unknown, RegExp]>([
  ['setMany(null)', (store) => store.setMany(null as never), /setMany: expected entries.*not null/],
  ['setMany of a string', (store) => store.setMany('ab' as never), /expected entries.*not of type string/],
  ['setMany of an object', (store) => store.setMany({ milk: 1 } as never), /expected entries.*not of type object/],
  ['setMany([null])', (store) => store.setMany([null] as never), /entry 0 is null.*key and a value/],
  ['setMany with a string for an entry', (store) => store.setMany(['ab'] as never), /entry 0 is of type string/],
  ['setMany with an entry of one', (store) => store.setMany([['a']] as never), /entry 0 is an array of 1/],
  ['getMany(5)', (store) => store.getMany(5 as never), /getMany: expected keys.*not of type number/],
  ['getMany of a string', (store) => store.getMany('ab'), /getMany: expected keys.*not of type string/],
  ['getMany()', (store) => store.getMany(undefined as never), /not undefined/],
  ['deleteMany of a string', (store) => store.deleteMany('milk'), /deleteMany: expected keys.*not of type string/],
  ['deleteMany(null)', (store) => store.deleteMany(null as never), /not null/],
])('refuses %s, says what it expects, and changes nothing', async (_, call, why) => {
  const store = await open<string>();
  await store.setMany(Array.from('milk', (key) => [key, key]));
  const error = await failure('InvalidOptions', () => call(store as unknown as GossipStore<never>));
  expect(error.message).toMatch(why);
  expect(store.size).toBe(4);
});

it('checks its options', async () => {
  const store = await open<number>();
  await failure('InvalidOptions', () => store.setMany([], { onProgress: 'yes' as unknown as () => void }));
  await failure('InvalidOptions', () => store.deleteMany([], { sginal: 1 } as object));
});
