/** One key at a time, and many: what is written is read, in whatever order the calls are made. */
import { describe, expect, it } from 'vitest';
import { failure, open } from './store.js';

it('sets, gets, has, deletes and clears', async () => {
  const store = await open();
  await store.set('milk', { qty: 2, due: new Date(0), tags: new Set(['dairy']) });
  expect(await store.get('milk')).toEqual({ qty: 2, due: new Date(0), tags: new Set(['dairy']) });
  expect(await store.has('milk')).toBe(true);
  expect(await store.get('oats')).toBeUndefined();
  expect(await store.has('oats')).toBe(false);

  await store.set('milk', null);
  expect(await store.get('milk')).toBeNull();
  expect(await store.has('milk')).toBe(true);

  await store.delete('milk');
  await store.delete('milk');
  expect(await store.has('milk')).toBe(false);

  await store.setMany([
    ['a', 1],
    ['b', 2],
  ]);
  await store.clear();
  await store.clear();
  expect(await store.getMany(['a', 'b'])).toEqual([undefined, undefined]);
});

it('tells the size when a write is done', async () => {
  const store = await open();
  await store.set('a', 1);
  expect(store.size).toBe(1);
  await store.setMany(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n]));
  expect(store.size).toBe(2_001);
  await store.deleteMany(['a', 'k0', 'absent']);
  expect(store.size).toBe(1_999);
  await store.clear();
  expect(store.size).toBe(0);
});

it('carries calls out in the order in which they are made, awaited or not', async () => {
  const store = await open<number>();
  const seen = [];
  const done: Promise<unknown>[] = [];
  for (let n = 0; n < 5; n++) {
    done.push(store.set('k', n));
    seen.push(store.get('k'));
  }
  done.push(store.transaction((tx) => tx.set('k', 5)));
  seen.push(store.get('k'));
  done.push(store.setMany([['k', 6]]));
  seen.push(store.get('k'));
  done.push(store.delete('k'));
  seen.push(store.get('k'));
  expect(await Promise.all(seen)).toEqual([0, 1, 2, 3, 4, 5, 6, undefined]);
  await Promise.all(done);
});

it('keeps what it was given, not what becomes of it', async () => {
  const store = await open<{ qty: number }>();
  const value = { qty: 1 };
  const done = store.set('k', value);
  value.qty = 2;
  await done;
  const first = await store.get('k');
  expect(first).toEqual({ qty: 1 });
  if (first) first.qty = 3;
  expect(await store.get('k')).toEqual({ qty: 1 });
});

describe('keys', () => {
  it('may be any whole characters up to 1,024 bytes of UTF-8', async () => {
    const store = await open<number>();
    const keys = ['a', ' ', '\0', 'é'.repeat(512), '𝄞'.repeat(256), 'x'.repeat(1_024), '\uffff', '__proto__'];
    await store.setMany(keys.map((key, n) => [key, n]));
    expect(await store.getMany(keys)).toEqual(keys.map((_, n) => n));
  });

  it.each([
    ['KeyEmpty', ''],
    ['KeyTooLong', 'x'.repeat(1_025)],
    ['KeyTooLong', 'é'.repeat(513)],
    ['KeyNotStorable', '\ud800'],
    ['KeyNotStorable', 'a\udc00b'],
    ['KeyNotStorable', 7],
    ['KeyNotStorable', undefined],
    ['KeyNotStorable', {}],
  ] as const)('are refused with %s in every call: %j', async (code, wrong) => {
    const store = await open();
    const key = wrong as string;
    for (const call of [
      () => store.set(key, 1),
      () => store.get(key),
      () => store.has(key),
      () => store.delete(key),
      () => store.getSiblings(key),
      () => store.getMany(['fine', key]),
      () => store.setMany([['fine', 1], [key, 1]]), // biome-ignore format: one line a call
      () => store.deleteMany([key]),
      () => store.transaction((tx) => tx.set(key, 1)),
      () => store.transaction((tx) => tx.get(key)),
    ]) {
      await failure(code, call);
    }
    expect(store.size).toBe(0);
  });
});

describe('values', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;

  it.each([
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
    ['undefined', undefined],
    ['a cycle', cycle],
    ['an instance of a class', new (class Point {})()],
    ['a function deep inside', { list: [{ run: () => {} }] }],
  ])('that are no data are refused, and nothing is stored: %s', async (_, value) => {
    const store = await open();
    await failure('ValueNotStorable', () => store.set('k', value));
    await failure('ValueNotStorable', () => store.setMany([['fine', 1], ['k', value]])); // biome-ignore format: one line
    await failure('ValueNotStorable', () => store.transaction((tx) => tx.set('k', value)));
    expect(store.size).toBe(0);
  });

  it('of up to 16 MiB are stored, larger ones refused', async () => {
    const store = await open();
    const large = new Uint8Array(16 * 1024 * 1024 - 16);
    large[large.length - 1] = 7;
    await store.set('k', large);
    // By hand: the runner's own comparison takes minutes for so many numbers.
    const read = (await store.get<Uint8Array>('k')) ?? new Uint8Array();
    expect(Buffer.compare(read, large)).toBe(0);
    await failure('ValueTooLarge', () => store.set('k', new Uint8Array(16 * 1024 * 1024)));
    expect((await store.get<Uint8Array>('k'))?.length).toBe(large.length);
  });
});

describe('options of a write', () => {
  it('are checked', async () => {
    const store = await open();
    await failure('InvalidOptions', () => store.set('k', 1, { contxt: 1 } as object));
    await failure('InvalidContext', () => store.set('k', 1, { context: 'x' as unknown as Uint8Array }));
    await failure('InvalidContext', () => store.set('k', 1, { context: new Uint8Array([0xff, 0xff, 0xff]) }));
    await failure('InvalidContext', () => store.delete('k', { context: new Uint8Array([0xff, 0xff, 0xff]) }));
    expect(store.size).toBe(0);
  });
});
