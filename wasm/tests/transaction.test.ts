/** Transactions: whole or not at all, reading their own writes, never losing somebody else's. */
import { expect, it } from 'vitest';
import { collect, failure, open } from './store.js';

it('writes all at once and resolves with what the callback returned', async () => {
  const store = await open<number>();
  await store.set('old', 0);
  const changes = store.changes();
  const result = await store.transaction((tx) => {
    tx.set('a', 1);
    tx.set('b', 2);
    tx.set('a', 3);
    tx.delete('old');
    tx.delete('absent');
    return 'done';
  });
  expect(result).toBe('done');
  expect(await collect(store.entries())).toEqual([
    ['a', 3],
    ['b', 2],
  ]);
  await store.close();
  const told = await collect(changes);
  expect(told.map(({ key, value }) => [key, value]).sort()).toEqual([
    ['a', 3],
    ['b', 2],
    ['old', undefined],
  ]);
});

it('is not seen before it ends', async () => {
  const store = await open<number>();
  await store.transaction(async (tx) => {
    tx.set('a', 1);
    expect(await store.get('a')).toBeUndefined();
    tx.set('b', 1);
    expect(store.size).toBe(0);
  });
  expect(store.size).toBe(2);
});

it('reads its own writes, and the store for the rest', async () => {
  const store = await open<number>();
  await store.setMany([
    ['a', 1],
    ['b', 2],
  ]);
  await store.transaction(async (tx) => {
    expect([await tx.get('a'), await tx.has('a'), await tx.get('c')]).toEqual([1, true, undefined]);
    tx.set('a', 10);
    tx.delete('b');
    tx.set('c', 30);
    expect(await Promise.all(['a', 'b', 'c'].map((key) => tx.get(key)))).toEqual([10, undefined, 30]);
    expect(await tx.has('b')).toBe(false);
  });
});

it.each([
  ['throws', () => { throw new Error('no'); }], // biome-ignore format: one line a case
  ['rejects', () => Promise.reject(new Error('no'))],
])('writes nothing when the callback %s', async (_, fail) => {
  const store = await open<number>();
  const attempt = store.transaction((tx) => {
    tx.set('a', 1);
    return fail();
  });
  await expect(attempt).rejects.toThrow('no');
  expect(await store.has('a')).toBe(false);
});

it('writes nothing when the callback wrote nothing', async () => {
  const store = await open<number>();
  expect(await store.transaction(() => 7)).toBe(7);
});

it('keeps both values when one came in after it had read', async () => {
  const store = await open<number>();
  await store.set('count', 1);
  await store.transaction(async (tx) => {
    const count = (await tx.get('count')) ?? 0;
    await store.set('count', 100);
    tx.set('count', count + 1);
  });
  const { values } = await store.getSiblings('count');
  expect(values.map(({ value }) => value).sort()).toEqual([100, 2]);
});

it('supersedes what is there when it has not read', async () => {
  const store = await open<number>();
  await store.set('count', 1);
  await store.transaction(async (tx) => {
    await store.set('count', 100);
    tx.set('count', 2);
  });
  expect((await store.getSiblings('count')).values.map(({ value }) => value)).toEqual([2]);
});

it('is of no use after its callback has ended', async () => {
  const store = await open<number>();
  const late = await store.transaction((tx) => ({ tx }));
  await failure('TransactionEnded', () => late.tx.set('a', 1));
  await failure('TransactionEnded', () => late.tx.delete('a'));
  await failure('TransactionEnded', () => late.tx.get('a'));
  await failure('TransactionEnded', () => late.tx.has('a'));
});

it('refuses more writes than a transaction may hold, and stores none of them', async () => {
  const store = await open<number>();
  const attempt = () =>
    store.transaction((tx) => {
      for (let n = 0; n <= 65_536; n++) tx.set(String(n), n);
    });
  await failure('TransactionTooLarge', attempt);
  expect(store.size).toBe(0);
});

it.each([undefined, null, {}, 'work'])('refuses %j for the callback', async (work) => {
  const store = await open();
  const error = await failure('InvalidOptions', () => store.transaction(work as never));
  expect(error.message).toMatch(/transaction: `work` is .*; pass a function/);
});
