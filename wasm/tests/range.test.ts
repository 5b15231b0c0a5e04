/**
 * Ranges against the obvious model: a sorted array, filtered. Random keys that share prefixes, random bounds (some of them keys,
 * some between, some contradicting each other), in both directions and over several pages.
 */
import type { GossipStore, Range } from '@gossipstore/core';
import { expect, it } from 'vitest';
import { seededRandom, seeds } from './random.js';
import { collect, failure, open } from './store.js';

/** Order by code points, which is what UTF-8's bytes give and UTF-16's units do not. */
function byCodePoints(one: string, other: string): number {
  const [a, b] = [Array.from(one), Array.from(other)];
  const differs = a.findIndex((character, at) => character !== b[at]);
  if (differs === -1) return a.length - b.length;
  return (a[differs]?.codePointAt(0) ?? 0) - (b[differs]?.codePointAt(0) ?? -1);
}

function model(keys: readonly string[], range: Range): string[] {
  const { prefix = '', gte, gt, lte, lt, reverse, limit } = range;
  const inside = [...keys].sort(byCodePoints).filter((key) => {
    return (
      key.startsWith(prefix) &&
      (gte === undefined || byCodePoints(key, gte) >= 0) &&
      (gt === undefined || byCodePoints(key, gt) > 0) &&
      (lte === undefined || byCodePoints(key, lte) <= 0) &&
      (lt === undefined || byCodePoints(key, lt) < 0)
    );
  });
  return (reverse ? inside.reverse() : inside).slice(0, limit);
}

async function check(store: GossipStore<string>, keys: readonly string[], range: Range): Promise<void> {
  const expected = model(keys, range);
  const told = JSON.stringify(range);
  expect(await collect(store.keys(range)), told).toEqual(expected);
  expect(await collect(store.values(range)), told).toEqual(expected.map((key) => `value of ${key}`));
  expect(await collect(store.entries(range)), told).toEqual(expected.map((key) => [key, `value of ${key}`]));
}

/** Characters of one to four bytes; the last two change places between UTF-16 and code points. */
const ALPHABET = ['a', 'b', '/', 'é', '\uffff', '𝄞'];

it.each(seeds(3))('gives what a sorted and filtered array gives (GOSSIPSTORE_SEED=%i)', async (seed) => {
  const random = seededRandom(seed);
  const draw = (below: number) => Math.floor(random() * below);
  const text = (longest: number) => Array.from({ length: draw(longest + 1) }, () => ALPHABET[draw(6)]).join('');
  const store = await open<string>();
  const keys = [...new Set(Array.from({ length: 700 }, () => text(6)))].filter((key) => key !== '');
  await store.setMany(keys.map((key) => [key, `value of ${key}`]));
  expect(store.size).toBe(keys.length);

  await check(store, keys, {});
  await check(store, keys, { reverse: true });
  for (let round = 0; round < 60; round++) {
    const range: Range = {};
    if (random() < 0.4) range.prefix = text(2);
    for (const bound of ['gte', 'gt', 'lte', 'lt'] as const) {
      if (random() < 0.3) range[bound] = random() < 0.5 ? (keys[draw(keys.length)] as string) : text(4);
    }
    if (random() < 0.5) range.reverse = true;
    if (random() < 0.4) range.limit = draw(400);
    await check(store, keys, range);
  }
});

it('takes the whole store when iterated itself, and Infinity for no limit', async () => {
  const store = await open<number>();
  await store.setMany([
    ['b', 2],
    ['a', 1],
  ]);
  expect(await collect(store)).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
  expect(await collect(store.keys({ limit: Number.POSITIVE_INFINITY }))).toEqual(['a', 'b']);
});

it('may be left early, and read while it is written to', async () => {
  const store = await open<number>();
  await store.setMany(Array.from({ length: 1_000 }, (_, n) => [String(n).padStart(4, '0'), n]));
  const seen: string[] = [];
  for await (const key of store.keys()) {
    seen.push(key);
    await store.delete(key);
    await store.set(`${key}+`, 0);
    if (seen.length === 600) break;
  }
  expect(seen.length).toBe(new Set(seen).size);
  expect([...seen]).toEqual([...seen].sort());
});

it('throws the reason of a signal that aborts, before or between two items', async () => {
  const store = await open<number>();
  await store.setMany([
    ['a', 1],
    ['b', 2],
  ]);
  const reason = new Error('enough');
  await expect(collect(store.keys({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);

  const controller = new AbortController();
  const keys = store.keys({ signal: controller.signal });
  expect(await keys.next()).toEqual({ done: false, value: 'a' });
  controller.abort(reason);
  await expect(keys.next()).rejects.toBe(reason);
});

it.each([
  [{ limit: -1 }],
  [{ limit: 1.5 }],
  [{ limit: '3' }],
  [{ prefix: 7 }],
  [{ gte: '\ud800' }],
  [{ start: 'a' }],
  [{ signal: {} }],
  ['a'],
])('refuses %j when called, not when iterated', async (range) => {
  const store = await open();
  for (const read of ['entries', 'keys', 'values', 'conflicts'] as const) {
    await failure('InvalidOptions', () => store[read](range as Range));
  }
});
